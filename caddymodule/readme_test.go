package caddymodule_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

var (
	caddyfileBlock = regexp.MustCompile("(?ms)^```caddyfile\n(.*?)^```$")
	bareDirective  = regexp.MustCompile(`^(auth_sessions|handle|@\w+)\s`)
)

// What the README shows of the Caddyfile is what this build takes: each block is
// formatted and adapts, by itself or, where it is a bare directive, in a site.
func TestREADME_CaddyfileBlocksAdapt(t *testing.T) {
	text := readRoot(t, "README.md")
	blocks := caddyfileBlock.FindAllStringSubmatchIndex(text, -1)
	if len(blocks) == 0 {
		t.Fatal("README.md has no block of Caddyfile")
	}
	for _, at := range blocks {
		line := 1 + strings.Count(text[:at[2]], "\n")
		t.Run("line "+strconv.Itoa(line), func(t *testing.T) { adapts(t, text[at[2]:at[3]]) })
	}
}

func TestExample_Adapts(t *testing.T) {
	adapts(t, readRoot(t, "Caddyfile.example"))
}

func adapts(t *testing.T, text string) {
	t.Helper()
	if formatted := string(caddyfile.Format([]byte(text))); formatted != text {
		t.Errorf("not formatted; caddy fmt makes it\n%s", formatted)
	}
	if bareDirective.MatchString(text) {
		text = "example.com {\n" + text + "}\n"
	}
	config, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, warning := range warnings {
		if !strings.Contains(warning.Message, "not formatted") { // only the wrapping is not
			t.Errorf("line %d: %s", warning.Line, warning.Message)
		}
	}
	if !strings.Contains(string(config), `"handler":"auth_sessions"`) {
		t.Errorf("our handler is not in\n%s", config)
	}
}

// readRoot reads a file of the repository's top folder.
func readRoot(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
