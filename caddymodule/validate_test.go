package caddymodule_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"authsidecar/caddymodule/internal/sidecartest"
)

func init() {
	if sidecartest.AsCaddy() {
		caddycmd.RegisterCommand(caddycmd.Command{Name: "validate-each", Short: "Validates Caddyfiles in one process", Func: validateEach})
	}
}

// The lines before and after what is said of a Caddyfile.
const (
	validateNext  = "== next"
	validateValid = "== valid"
)

// validateEach does what caddy validate does, for many files.
func validateEach(fl caddycmd.Flags) (int, error) {
	for _, file := range fl.Args() {
		fmt.Fprintln(os.Stderr, validateNext)
		if err := validate(file); err != nil {
			fmt.Fprintln(os.Stderr, "Error:", err)
			continue
		}
		fmt.Fprintln(os.Stderr, validateValid)
	}
	return caddy.ExitCodeSuccess, nil
}

func validate(file string) error {
	config, _, _, err := caddycmd.LoadConfig(file, "caddyfile")
	if err != nil {
		return err
	}
	var loaded *caddy.Config
	if err := caddy.StrictUnmarshalJSON(config, &loaded); err != nil {
		return err
	}
	return caddy.Validate(loaded)
}

// A validated Caddyfile is what caddy validate says of it.
type validated struct {
	said  string
	valid bool
}

// validateAll validates Caddyfiles by their names, in one process.
func (s *sidecar) validateAll(caddyfiles map[string]string) map[string]validated {
	s.t.Helper()
	names, args := make([]string, 0, len(caddyfiles)), []string{"validate-each"}
	for name, text := range caddyfiles {
		names = append(names, name)
		args = append(args, s.Write(fmt.Sprintf("validated-%d", len(names)), s.Render(text)))
	}
	out, err := s.Command(args...).CombinedOutput()
	parts := strings.Split(string(out), validateNext+"\n")
	if err != nil || len(parts) != len(names)+1 {
		s.t.Fatalf("%v, said of %d of %d files:\n%s", err, len(parts)-1, len(names), out)
	}
	all := make(map[string]validated)
	for i, name := range names {
		said, valid := strings.CutSuffix(parts[i+1], validateValid+"\n")
		all[name] = validated{said, valid}
	}
	for _, file := range args[1:] {
		if err := os.Remove(file); err != nil {
			s.t.Fatal(err)
		}
	}
	return all
}

// Many validations in one process are as those of the command, one by one.
func TestValidate_EachIsAsTheCommandSays(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	site := provider.Site(s.Sidecar, "http://127.0.0.1:1", "")
	texts := map[string]string{
		"good":           site,
		"a warning":      strings.Replace(site, "issuer https://app", "issuer http://app", 1),
		"an unknown one": strings.Replace(site, "allow self", "allow selfs", 1),
		"a missing file": strings.Replace(site, "allow self", "allow self\nrefresh_token {\nkey "+filepath.Join(s.Dir, "none")+"\n}", 1),
	}
	for name, got := range s.validateAll(texts) {
		out, err := s.Command("validate", "--config", s.Write("Caddyfile", s.Render(texts[name])), "--adapter", "caddyfile").CombinedOutput()
		if got.valid != (err == nil) {
			t.Errorf("%s: valid is %t, but of the command: %v\n%s%s", name, got.valid, err, got.said, out)
		}
		for _, text := range []string{"tokens travel in the clear", "unknown rule", "none"} {
			if strings.Contains(got.said, text) != strings.Contains(string(out), text) {
				t.Errorf("%s: %q is said once alone:\n%s%s", name, text, got.said, out)
			}
		}
	}
}
