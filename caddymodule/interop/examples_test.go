package interop

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"

	"authsidecar/caddymodule/internal/sidecartest"
	"authsidecar/caddymodule/openapi"
	"authsidecar/sessions/storetest/servertest"
)

var update = flag.Bool("update", false, "write the page of examples")

// An example is a request to an endpoint. In its texts a name in capitals stands for a variable.
type example struct {
	operation, summary string
	method, path       string
	url                string
	header             [][2]string
	body               string
}

// variable is what the texts of an example have for what is different each time.
var variable = regexp.MustCompile(`SITE|ADMIN|SESSION_ID|CALLER_TOKEN|ACCESS_TOKEN|REFRESH_TOKEN|CLIENT_SECRET`)

// examples returns one for each operation of the description, but those of HEAD, of browsers,
// which have the cookies and the headers, and of identity providers, which have the tokens.
func examples(t testing.TB) (all []*example) {
	t.Helper()
	c := readContract(t, openapi.YAML)
	for path, item := range c.model.Paths.PathItems.FromOldest() {
		for method, op := range item.GetOperations().FromOldest() {
			word := op.Extensions.GetOrZero("x-served-with")
			if method != "head" && (word == nil || !slices.Contains([]string{"browser", "banner", "sign_in", "logout", "events"}, word.Value)) {
				all = append(all, exampleOf(path, strings.ToUpper(method), op))
			}
		}
	}
	return all
}

func exampleOf(path, method string, op *v3.Operation) *example {
	e := &example{operation: op.OperationId, summary: op.Summary, method: method, path: path}
	e.url = "SITE" + strings.Replace(path, "{id}", "SESSION_ID", 1)
	if strings.HasPrefix(path, "/auth_sessions/") {
		e.url = "ADMIN" + e.url[len("SITE"):]
	}
	for _, p := range op.Parameters {
		if p.In == "query" && p.Example != nil {
			e.url += "?" + p.Name + "=" + p.Example.Value
		}
	}
	for scheme := range op.Security[0].Requirements.FromOldest() {
		e.header = append(e.header, [2]string{"Authorization", map[string]string{
			"caller": "Bearer CALLER_TOKEN", "access": "Bearer ACCESS_TOKEN", "client": "Basic gateway:CLIENT_SECRET",
		}[scheme]})
	}
	if op.RequestBody != nil && op.RequestBody.Required != nil && *op.RequestBody.Required {
		for media, content := range op.RequestBody.Content.FromOldest() {
			e.header = append(e.header, [2]string{"Content-Type", media})
			var members []string
			for i := 0; i < len(content.Example.Content); i += 2 {
				name, value := content.Example.Content[i].Value, content.Example.Content[i+1].Value
				if media == asForm {
					members = append(members, name+"="+value)
				} else {
					members = append(members, quote(name)+":"+quote(value))
				}
			}
			if e.body = strings.Join(members, "&"); media != asForm {
				e.body = "{" + strings.Join(members, ",") + "}"
			}
		}
	}
	return e
}

// joined writes a text as an expression that puts it together: texts as quote has them, and
// variables as in read.
func joined(text, read string, quote func(string) string) string {
	var parts []string
	at := 0
	for _, found := range variable.FindAllStringIndex(text, -1) {
		if found[0] > at {
			parts = append(parts, quote(text[at:found[0]]))
		}
		parts = append(parts, strings.Replace(read, "NAME", text[found[0]:found[1]], 1))
		at = found[1]
	}
	if at < len(text) {
		parts = append(parts, quote(text[at:]))
	}
	return strings.Join(parts, " + ")
}

// basic returns the credentials of a client, where a header's value has them.
func basic(value string) (credentials string, ok bool) { return strings.CutPrefix(value, "Basic ") }

func (e *example) curl() string {
	text := func(s string) string {
		return `"` + variable.ReplaceAllString(strings.ReplaceAll(s, `"`, `\"`), "$$$0") + `"`
	}
	out := "curl -sS --fail-with-body -X " + e.method + " " + text(e.url)
	for _, h := range e.header {
		if credentials, ok := basic(h[1]); ok {
			out += " \\\n\t-u " + text(credentials)
		} else {
			out += " \\\n\t-H " + text(h[0]+": "+h[1])
		}
	}
	if e.body != "" {
		out += " \\\n\t-d " + text(e.body)
	}
	return out + "\n"
}

func (e *example) javaScript() string {
	text := func(s string) string { return joined(s, "process.env.NAME", singly) }
	header := e.header
	if strings.HasPrefix(e.url, "ADMIN") { // Caddy asks whatever speaks as a browser does, as fetch, where it is from
		header = append(header, [2]string{"Origin", "ADMIN"})
	}
	out := "const response = await fetch(" + text(e.url) + ", {\n\tmethod: " + quote(e.method) + ",\n"
	for i, h := range header {
		if i == 0 {
			out += "\theaders: {\n"
		}
		value := text(h[1])
		if credentials, ok := basic(h[1]); ok {
			value = `"Basic " + btoa(` + text(credentials) + ")"
		}
		out += "\t\t" + quote(h[0]) + ": " + value + ",\n"
		if i == len(header)-1 {
			out += "\t},\n"
		}
	}
	if e.body != "" {
		out += "\tbody: " + text(e.body) + ",\n"
	}
	return out + "});\nconsole.log(response.status, await response.text());\n"
}

func (e *example) python() string {
	text := func(s string) string { return joined(s, `os.environ["NAME"]`, singly) }
	out := "import base64, os, urllib.request\n\nrequest = urllib.request.Request(" + text(e.url) + ", method=" + quote(e.method) + ")\n"
	for _, h := range e.header {
		value := text(h[1])
		if credentials, ok := basic(h[1]); ok {
			value = `"Basic " + base64.b64encode((` + text(credentials) + ").encode()).decode()"
		}
		out += "request.add_header(" + quote(h[0]) + ", " + value + ")\n"
	}
	if e.body != "" {
		out += "request.data = (" + text(e.body) + ").encode()\n"
	}
	return out + "with urllib.request.urlopen(request) as response:\n    print(response.status, response.read())\n"
}

func (e *example) golang() string {
	text := func(s string) string {
		return joined(s, `os.Getenv("NAME")`, func(s string) string { return quoted(s, "`") })
	}
	body := "nil"
	if e.body != "" {
		body = "strings.NewReader(" + text(e.body) + ")"
	}
	out := "req, err := http.NewRequest(" + quote(e.method) + ", " + text(e.url) + ", " + body + ")\nif err != nil {\n\tlog.Fatal(err)\n}\n"
	for _, h := range e.header {
		if credentials, ok := basic(h[1]); ok {
			id, secret, _ := strings.Cut(credentials, ":")
			out += "req.SetBasicAuth(" + quote(id) + ", " + text(secret) + ")\n"
		} else {
			out += "req.Header.Set(" + quote(h[0]) + ", " + text(h[1]) + ")\n"
		}
	}
	return out + "resp, err := http.DefaultClient.Do(req)\nif err != nil {\n\tlog.Fatal(err)\n}\ndefer resp.Body.Close()\nfmt.Println(resp.StatusCode)\nio.Copy(os.Stdout, resp.Body)\n"
}

// quoted writes a text in double quotes, or in others if it has such.
func quoted(s, others string) string {
	if strings.Contains(s, `"`) {
		return others + s + others
	}
	return `"` + s + `"`
}

func singly(s string) string { return quoted(s, "'") }

// The page has an example of each endpoint in each language: as this test would write it.
func TestExamples_ThePageHasEachEndpoint(t *testing.T) {
	var page strings.Builder
	page.WriteString(`# Examples

One request to each endpoint that programs call, of the [OpenAPI description](../openapi/openapi.yaml), in curl, JavaScript (Node), Python and Go. Each is run by a test. What is different each time is in variables of the environment: ` + "`SITE` and `ADMIN` are where the site and Caddy's admin endpoint are, `CALLER_TOKEN` is a JWT of a trusted issuer, `ACCESS_TOKEN`, `REFRESH_TOKEN` and `SESSION_ID` are of a session, and `CLIENT_SECRET` is that of an OAuth client named gateway." + `
`)
	for _, e := range examples(t) {
		page.WriteString("\n## " + e.method + " " + e.path + "\n\n" + e.summary + "\n\n```sh\n" + e.curl() + "```\n\n```js\n" + e.javaScript() + "```\n\n```python\n" + e.python() + "```\n\n```go\n" + e.golang() + "```\n")
	}
	file := filepath.Join(sidecartest.Root(), "caddymodule", "docs", "examples.md")
	if *update {
		if err := os.WriteFile(file, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != page.String() {
		t.Errorf("docs/examples.md is not what the description makes of it; write it with go test -run Examples -update (%v)", err)
	}
}

// TestExamples_Run runs each example of the page in each language.
func TestExamples_Run(t *testing.T) {
	t.Parallel()
	all := examples(t)
	program := goExamples(t, all)
	languages := map[string]func(*example) *exec.Cmd{
		"curl":   func(e *example) *exec.Cmd { return exec.Command("sh", "-c", e.curl()) },
		"node":   func(e *example) *exec.Cmd { return exec.Command("node", "--input-type=module", "-e", e.javaScript()) },
		"Python": func(e *example) *exec.Cmd { return exec.Command("/usr/bin/python3", "-c", e.python()) },
		"Go":     func(e *example) *exec.Cmd { return exec.Command(program, e.operation) },
	}
	for _, name := range []string{"curl", "node", "/usr/bin/python3"} {
		if _, err := exec.LookPath(name); err != nil {
			servertest.Missing(t, name, "apt-get install -y curl nodejs python3")
		}
	}
	for language, command := range languages {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, readContract(t, openapi.YAML))
			s.Start(s.site(""))
			for _, e := range all {
				mine := s.Create(s.alice, `{"user_id":"alice"}`)
				access, refresh := mine.Text("access_token"), mine.Text("refresh_token")
				if strings.HasPrefix(e.path, "/oauth/") {
					access, refresh = s.exchanged("gateway")
				}
				cmd := command(e)
				cmd.Env = append(os.Environ(), "SITE="+s.URL, "ADMIN=http://"+s.Admin, "CALLER_TOKEN="+s.alice, "SESSION_ID="+mine.Text("session_id"),
					"ACCESS_TOKEN="+access, "REFRESH_TOKEN="+refresh, "CLIENT_SECRET="+plainSecret)
				if got := output(t, cmd); language != "curl" && !strings.HasPrefix(got, "200") { // curl fails by itself
					t.Errorf("%s: %.200s", e.operation, got)
				}
			}
		})
	}
}

// goExamples builds the examples in Go as one program.
func goExamples(t *testing.T, all []*example) (program string) {
	t.Helper()
	dir := t.TempDir()
	text := "package main\n\nimport (\n\t\"fmt\"\n\t\"io\"\n\t\"log\"\n\t\"net/http\"\n\t\"os\"\n\t\"strings\"\n)\n\nfunc main() {\n\tswitch os.Args[1] {\n"
	for _, e := range all {
		text += "\tcase " + quote(e.operation) + ":\n" + e.golang()
	}
	for name, text := range map[string]string{"go.mod": "module examples\n\ngo 1.26\n", "main.go": text + "\t}\n}\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program = filepath.Join(dir, "examples")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building them: %v\n%s", err, out)
	}
	return program
}
