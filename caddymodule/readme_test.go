package caddymodule_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"authsidecar/caddymodule"
	"authsidecar/caddymodule/config"
)

var (
	caddyfileBlock = regexp.MustCompile("(?ms)^```caddyfile\n(.*?)^```$")
	bareDirective  = regexp.MustCompile(`^(auth_sessions|handle|@\w+)\s`)
)

// A shownBlock is a block of Caddyfile in the README or on a page.
type shownBlock struct {
	name string // the page and the line
	text string
	// before are the paragraphs of its section and of the page's introduction.
	before []string
}

// shownBlocks returns the blocks of the README and of all pages.
func shownBlocks(t *testing.T) (all []shownBlock) {
	t.Helper()
	pages, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, "../README.md") {
		text := readRoot(t, "caddymodule/"+filepath.ToSlash(page))
		intro, _, _ := strings.Cut(text, "\n## ")
		for _, at := range caddyfileBlock.FindAllStringSubmatchIndex(text, -1) {
			begin := max(strings.LastIndex(text[:at[0]], "\n## "), 0)
			section, _, _ := strings.Cut(text[begin+1:], "\n## ")
			all = append(all, shownBlock{
				name: filepath.Base(page) + ":" + strconv.Itoa(1+strings.Count(text[:at[2]], "\n")), text: text[at[2]:at[3]],
				before: strings.Split(intro+"\n\n"+section, "\n\n"),
			})
		}
	}
	if len(all) < 60 {
		t.Errorf("found %d blocks of Caddyfile", len(all))
	}
	return all
}

// What the README and the pages show of the Caddyfile is what this build takes: each block is
// formatted and adapts, by itself or, where it is a bare directive, in a site.
func TestPages_CaddyfileBlocksAdapt(t *testing.T) {
	for _, block := range shownBlocks(t) {
		t.Run(block.name, func(t *testing.T) { adapts(t, block.text) })
	}
}

// warnedWords are the words that a page names where it says that Caddy warns of one of its blocks,
// by what the warning says.
var warnedWords = map[string]string{
	"without giving a reason": "require_reason", "impersonate everybody": "protect", "max_lifetime is": "max_lifetime", "token_header": "token_header",
	"HMAC": "secret", "is that of the app's access tokens too": "audience", "unverified": "unverified",
}

// What the pages recommend causes no warning, or the page says that it does, in the section of the
// block or in its introduction.
func TestPages_SayWhichOfTheirBlocksCaddyWarnsOf(t *testing.T) {
	for _, block := range append(shownBlocks(t), shownBlock{name: "Caddyfile.example", text: readRoot(t, "Caddyfile.example")}) {
		for _, warning := range warningsOf(t, adapts(t, block.text)) {
			word := ""
			for part, of := range warnedWords {
				if strings.Contains(warning, part) {
					word = of
				}
			}
			says := func(paragraph string) bool {
				return strings.Contains(paragraph, "Caddy warns") && strings.Contains(paragraph, "`"+word+"`")
			}
			if word == "" || !slices.ContainsFunc(block.before, says) {
				t.Errorf("%s: no paragraph says that Caddy warns of `%s`: %s", block.name, word, warning)
			}
		}
	}
}

// warningsOf returns the warnings of all of our blocks in a configuration.
func warningsOf(t *testing.T, configuration []byte) (found []string) {
	t.Helper()
	var walk func(any)
	walk = func(value any) {
		switch value := value.(type) {
		case []any:
			for _, item := range value {
				walk(item)
			}
		case map[string]any:
			if value["handler"] == "auth_sessions" {
				data, _ := json.Marshal(value)
				block := new(config.Block)
				if err := json.Unmarshal(data, block); err != nil {
					t.Fatal(err)
				}
				if at, err := block.CheckConfigured(); err != nil {
					t.Errorf("%s: %v", at, err)
				}
				found = append(found, block.Warnings()...)
			}
			for _, member := range value {
				walk(member)
			}
		}
	}
	var all any
	if err := json.Unmarshal(configuration, &all); err != nil {
		t.Fatal(err)
	}
	walk(all)
	return found
}

// The page about the directive names every field of the configuration.
func TestPages_NameEveryWord(t *testing.T) {
	pages := readRoot(t, "caddymodule/docs/directive.md") + readRoot(t, "caddymodule/docs/identity.md") + readRoot(t, "caddymodule/docs/browser.md") + readRoot(t, "caddymodule/docs/stores.md")
	var walk func(reflect.Type)
	seen := make(map[reflect.Type]bool)
	walk = func(at reflect.Type) {
		for at.Kind() == reflect.Pointer || at.Kind() == reflect.Slice {
			at = at.Elem()
		}
		if at.Kind() != reflect.Struct || seen[at] {
			return
		}
		seen[at] = true
		for field := range at.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if field.Anonymous {
				walk(field.Type)
			}
			if name == "" || name == "-" {
				continue
			}
			if !regexp.MustCompile("[`.]" + name + "[`.\\[ ]").MatchString(pages) {
				t.Errorf("%s.%s: no page names %q", at.Name(), field.Name, name)
			}
			walk(field.Type)
		}
	}
	walk(reflect.TypeFor[caddymodule.Handler]())
	if len(seen) < 10 {
		t.Errorf("found the fields of %d types", len(seen))
	}
}

// The page about the stores has every word and JSON field of theirs.
func TestPages_NameEveryWordOfTheStores(t *testing.T) {
	page, found := readRoot(t, "caddymodule/docs/stores.md"), 0
	for _, file := range []string{"store_pebble.go", "postgres/postgres.go", "redis/redis.go"} {
		for _, field := range regexp.MustCompile(`json:"([a-z_]+)`).FindAllStringSubmatch(readRoot(t, "caddymodule/"+file), -1) {
			if found++; !strings.Contains(page, "`"+field[1]+"`") {
				t.Errorf("stores.md does not name %s of %s", field[1], file)
			}
		}
	}
	if found < 15 {
		t.Errorf("found %d fields", found)
	}
}

// Every link from one page to another, or to a file of the repository, leads somewhere.
func TestPages_LinksLeadSomewhere(t *testing.T) {
	pages, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	for _, page := range append(pages, "../README.md", "../.github/SECURITY.md", "../.github/CONTRIBUTING.md") {
		for _, found := range link.FindAllStringSubmatch(readRoot(t, "caddymodule/"+filepath.ToSlash(page)), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), found[1])); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
}

// The README names the Go that go.mod asks for.
func TestReadme_NamesTheGoOfGoMod(t *testing.T) {
	asked := regexp.MustCompile(`(?m)^go (\S+)$`).FindStringSubmatch(readRoot(t, "go.mod"))[1]
	if !strings.Contains(readRoot(t, "README.md"), "Go "+asked+" or newer") {
		t.Errorf("the README does not say Go %s or newer", asked)
	}
}

func TestExample_Adapts(t *testing.T) {
	adapts(t, readRoot(t, "Caddyfile.example"))
}

// adapts returns what becomes of a block that has to be formatted and to adapt.
func adapts(t *testing.T, text string) []byte {
	t.Helper()
	if formatted := string(caddyfile.Format([]byte(text))); formatted != text {
		t.Errorf("not formatted; caddy fmt makes it\n%s", formatted)
	}
	if bareDirective.MatchString(text) {
		text = "example.com {\n" + text + "}\n"
	}
	adapted, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, warning := range warnings {
		if !strings.Contains(warning.Message, "not formatted") { // only the wrapping is not
			t.Errorf("line %d: %s", warning.Line, warning.Message)
		}
	}
	if !strings.Contains(string(adapted), `"handler":"auth_sessions"`) {
		t.Errorf("our handler is not in\n%s", adapted)
	}
	return adapted
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
