package docs

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
)

func TestMain(m *testing.M) { sidecartest.Main(m, nil) }

// Every token of callers.json gives what is expected of it, through Caddy with the block that
// issuers.md shows for its issuer.
//
// Covers V4, V5, V18, V19, V22, V25.
func TestIssuers_EachTokenGivesWhatThePageSays(t *testing.T) {
	t.Parallel()
	page := newIssuersPage(t)
	missing := maps.Clone(callers)
	cases := readCallers(t)
	keys := newCallerKeys(t, cases)
	page.start(t, keys)
	for _, c := range cases {
		for _, token := range c.Tokens {
			name := c.Issuer + "/" + token.Name
			wants, known := callers[name]
			if !known {
				t.Errorf("%s: no row says what comes of it: %s", name, token.Expect)
			}
			delete(missing, name)
			for _, want := range wants {
				t.Run(fmt.Sprintf("%s/%s %d", name, want.section, want.block), func(t *testing.T) {
					page.try(t, want, keys.sign(t, token, want))
				})
				if want.outcome == refused {
					page.WaitLog(`"bearer token refused"`, `"issuer":"`+want.site()+`"`, `"reason":"`+want.reason+`"`)
				}
			}
		}
	}
	for name := range missing {
		t.Errorf("%s: there is no such token", name)
	}
	page.wantRun(t)
}

// The issuersPage is the blocks of issuers.md, each a site of one Caddy.
type issuersPage struct {
	*sidecartest.Sidecar
	app    string
	blocks map[string][]string // by section
	run    []string            // the sections that say that they were run
	urls   map[string]string   // by the name of the site
	real   map[string]string   // the addresses of issuers that run here, by section
}

var block = regexp.MustCompile("(?ms)^```caddyfile\n(.*?)^```$")

func newIssuersPage(t *testing.T) *issuersPage {
	t.Helper()
	text, err := os.ReadFile("issuers.md")
	if err != nil {
		t.Fatal(err)
	}
	page := &issuersPage{Sidecar: sidecartest.New(t), app: sidecartest.Echo(t), blocks: make(map[string][]string), urls: make(map[string]string)}
	for _, section := range strings.Split(string(text), "\n## ")[1:] {
		title, _, _ := strings.Cut(section, "\n")
		for _, found := range block.FindAllStringSubmatch(section, -1) {
			page.blocks[title] = append(page.blocks[title], found[1])
		}
		if len(page.blocks[title]) == 0 {
			t.Errorf("%s: no block", title)
		}
		_, read, _ := strings.Cut(section, "\n\n")
		switch mark, _, _ := strings.Cut(read, " "); mark {
		case "*Run.*":
			page.run = append(page.run, title)
		case "*Read.*", "*Real.*":
		default:
			t.Errorf("%s does not begin with what was run or read", title)
		}
	}
	return page
}

// wantRun checks that a token came to each block of those sections that say that they were run, and
// to none of the others.
func (p *issuersPage) wantRun(t *testing.T) {
	t.Helper()
	tried := make(map[string]bool)
	for _, wants := range callers {
		for _, want := range wants {
			want.change = ""
			tried[want.site()] = true
		}
	}
	for section, blocks := range p.blocks {
		for i := range blocks {
			at := expected{section: section, block: i + 1}
			if run := slices.Contains(p.run, section); run != tried[at.site()] {
				t.Errorf("%s, block %d: the page says run %v, and a token was tried: %v", section, i+1, run, !run)
			}
		}
	}
}

// start runs Caddy with each block, and with what rows make of them.
func (p *issuersPage) start(t *testing.T, keys *callerKeys) {
	t.Helper()
	var all strings.Builder
	for section, blocks := range p.blocks {
		for i := range blocks {
			all.WriteString(p.site(t, expected{section: section, block: i + 1}))
		}
	}
	for _, wants := range callers {
		for _, want := range wants {
			if want.outcome == machine {
				want.change = onlySelf
			}
			if _, made := p.urls[want.site()]; want.change != "" && !made {
				all.WriteString(p.site(t, want))
			}
		}
	}
	p.Write("jwks.json", keys.jwks())
	p.Env = append(p.Env, "SUPABASE_JWT_SECRET="+callerSecret)
	p.Start(all.String())
}

// block returns a block of the page; it trusts the issuer that runs here, if one does.
func (p *issuersPage) block(t *testing.T, want expected) string {
	t.Helper()
	if want.block > len(p.blocks[want.section]) {
		t.Fatalf("%s has no block %d", want.section, want.block)
	}
	text := p.blocks[want.section][want.block-1]
	if p.real[want.section] == "" {
		return text
	}
	return strings.ReplaceAll(text, trust.FindStringSubmatch(text)[1], p.real[want.section])
}

var trust = regexp.MustCompile(`(?m)^\t\ttrust (\S+) \{$`)

// site is a block as a site of its own: with another address and issuer, and with our keys in
// place of the issuer's, unless that runs here.
func (p *issuersPage) site(t *testing.T, want expected) string {
	t.Helper()
	port, ours := sidecartest.Port(t), p.real[want.section] == ""
	p.urls[want.site()] = "http://127.0.0.1:" + port
	var site strings.Builder
	changed := want.change == ""
	for line := range strings.Lines(p.block(t, want)) {
		word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case word == "app.example.com":
			line = "http://:" + port + " {\n"
		case word == "issuer":
			line = "\t\tissuer " + want.site() + "\n"
		case word == "trust" && ours:
			line += "\t\t\tjwks DIR/jwks.json\n"
		case (word == "jwks" || word == "jwks_token" || word == "ca") && ours:
			continue
		case word == "audience" && want.change == otherAudience:
			line, changed = "\t\t\taudience https://nobody.example.com\n", true
		case word == "reverse_proxy":
			line = "\treverse_proxy " + strings.TrimPrefix(p.app, "http://") + "\n"
		case word == "allow" && want.change == onlySelf:
			if changed {
				continue
			}
			line, changed = "\t\tallow self\n\t\tidentity {\n\t\t\taccept callers\n\t\t}\n", true
		case word == want.change:
			changed = true
			continue
		}
		site.WriteString(line)
	}
	if !changed {
		t.Fatalf("%s: nothing in block %d is changed by %q", want.section, want.block, want.change)
	}
	return site.String()
}

// try asks for sessions with a token. Whoever can have one of their own can have none of
// somebody else, and the other way round.
func (p *issuersPage) try(t *testing.T, want expected, token string) {
	t.Helper()
	switch want.outcome {
	case self:
		sidecartest.WantFields(t, p.ask(t, want, token, want.user, 200), map[string]any{"is_impersonation": false, "user_id": want.user})
		sidecartest.WantFields(t, p.ask(t, want, token, "somebody-else", 403), map[string]any{"code": "insufficient_scope"})
	case impersonation:
		sidecartest.WantFields(t, p.ask(t, want, token, "somebody-else", 200), map[string]any{"is_impersonation": true, "user_id": "somebody-else"})
	case machine:
		sidecartest.WantFields(t, p.ask(t, want, token, want.user, 200), map[string]any{"is_impersonation": true})
		want.change = onlySelf
		sidecartest.WantFields(t, p.ask(t, want, token, want.user, 403), map[string]any{"code": "insufficient_scope"})
		p.wantToldAsActor(t, want, token)
	case job:
		sidecartest.WantFields(t, p.ask(t, want, token, want.user, 200), map[string]any{"is_impersonation": true})
	case refused:
		sidecartest.WantFields(t, p.ask(t, want, token, want.user, 401), map[string]any{"code": "invalid_token"})
	}
}

// wantToldAsActor checks that the app is told of the machine, and not as of a user.
func (p *issuersPage) wantToldAsActor(t *testing.T, want expected, token string) {
	t.Helper()
	req, err := http.NewRequest("GET", p.urls[want.site()]+"/app", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	got, err := p.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	sidecartest.WantIn(t, got.Body, "X-Auth-Actor: "+want.user)
	if strings.Contains(got.Body, "X-Auth-User") {
		t.Errorf("the app is told of a user:\n%s", got.Body)
	}
}

func (p *issuersPage) ask(t *testing.T, want expected, token, user string, status int) sidecartest.Answer {
	t.Helper()
	body, err := json.Marshal(map[string]string{"user_id": user})
	if err != nil {
		t.Fatal(err)
	}
	url, ok := p.urls[want.site()]
	if !ok {
		t.Fatalf("there is no site %s", want.site())
	}
	bearer, header := token, []string(nil)
	if want.header != "" {
		bearer, header = "", []string{want.header, token, "Sec-Fetch-Site", "same-origin"}
	}
	got := p.CreateAt(url, bearer, string(body), header...)
	sidecartest.WantStatus(t, got, status)
	return got
}
