package caddymodule_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
)

var uuidIn = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)

// referenceIn returns the one UUID that an answer names.
func referenceIn(t *testing.T, what string, got sidecartest.Answer) string {
	t.Helper()
	found := uuidIn.FindAllString(got.Body, -1)
	if len(found) != 1 {
		t.Fatalf("%s: the answer names %q:\n%s", what, found, got.Body)
	}
	return found[0]
}

// lineWith waits for a line of the log with these texts, and returns it.
func (s *sidecar) lineWith(texts ...string) map[string]any {
	s.t.Helper()
	var entry map[string]any
	if err := json.Unmarshal([]byte(s.WaitLog(texts...)), &entry); err != nil {
		s.t.Fatal(err)
	}
	return entry
}

// Whoever is refused reads what they can do and a UUID, and no more of why than before. With that
// the operator finds the request in the log and the audit, and there the reason; the developer finds
// what to write, from the log and from explain.
//
// Covers L2, O11.
func TestRefusals_AreExplainedToWhoeverAsks(t *testing.T) {
	t.Parallel()
	s, idp := newSidecar(t), sidecartest.NewIDP(t, "https://idp.example.com")
	file := filepath.Join(s.Dir, "audit.jsonl")
	site := idp.Site(s.Sidecar, sidecartest.Echo(t), sidecartest.Lifecycle+`
		protect user root
		impersonation {
			deny /billing/*
		}
		identity
		audit file `+file+`
		browser`)
	site = strings.Replace(site, "SITE {", "SITE {\n\tlog", 1)
	s.Start(site)
	audited := func(uuid string) string {
		t.Helper()
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			if strings.Contains(line, `"uuid":"`+uuid+`"`) {
				return line
			}
		}
		return ""
	}
	person := []string{"Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}

	t.Run("an impersonation that a rule blocks", func(t *testing.T) {
		got := s.Create(desk(idp), `{"user_id":"root","reason":"ticket 4711"}`)
		sidecartest.WantStatus(t, got, 403)
		if strings.Contains(got.Body, "root") || strings.Contains(got.Body, "protect") {
			t.Errorf("the caller learns why: %s", got.Body)
		}
		uuid := referenceIn(t, "create", got)
		if got.Text("instance") != "urn:uuid:"+uuid {
			t.Errorf("the instance is %s", got.Text("instance"))
		}
		line := audited(uuid)
		for _, want := range []string{`"event":"denied"`, `"user_id":"root"`, `"actor":"carol"`, "protected", `"ticket 4711"`} {
			if !strings.Contains(line, want) {
				t.Errorf("the audit does not say %s: %s", want, line)
			}
		}
		s.lineWith(`"msg":"session denied"`, uuid)
		if entry := s.lineWith("http.log.access", uuid); entry["session_decision"] == "answered" {
			t.Errorf("the access log says %v", entry["session_decision"])
		}
	})

	p := s.newPerson()
	p.signIn(idp.Token("carol", nil), `{"user_id":"carol"}`)
	p.signIn(desk(idp), `{"user_id":"alice","reason":"ticket 4712"}`)
	t.Run("a page that is closed to whoever acts as somebody", func(t *testing.T) {
		page := p.do("GET", "/billing/card?card=secret", person...)
		if page.Status != 403 || !strings.Contains(page.Body, "This is closed while you act as another user.") {
			t.Fatalf("%d %s", page.Status, page.Body)
		}
		if !strings.Contains(page.Body, `<a href="/">Go to the start page</a>`) {
			t.Errorf("the page leads nowhere: %s", page.Body)
		}
		uuid := referenceIn(t, "the page", page)
		line := audited(uuid)
		for _, want := range []string{`"event":"refused"`, `"user_id":"alice"`, `"actor":"carol"`, `"path":"/billing/card"`, `"error":"deny"`, `"ticket 4712"`} {
			if !strings.Contains(line, want) {
				t.Errorf("the audit does not say %s: %s", want, line)
			}
		}
		if entry := s.lineWith("http.log.access", uuid); entry["session_decision"] != "denied:deny" || entry["session_actor"] != "carol" {
			t.Errorf("the access log says %v of %v", entry["session_decision"], entry["session_actor"])
		}
	})

	t.Run("a cookie that is over", func(t *testing.T) {
		p := s.newPerson()
		session := p.signIn(idp.Token("alice", nil), `{"user_id":"alice"}`)
		sidecartest.WantStatus(t, s.Call("DELETE", "/"+session.Text("session_id"), idp.Token("alice", nil), ""), 200)
		page := p.do("POST", "/orders", append(person, sameOrigin...)...)
		if page.Status != 401 || !strings.Contains(page.Body, "This session is over. Sign in again.") {
			t.Fatalf("%d %s", page.Status, page.Body)
		}
		entry := s.lineWith("http.log.access", referenceIn(t, "the page", page))
		if decision, _ := entry["session_decision"].(string); !strings.HasPrefix(decision, "denied:") {
			t.Errorf("the access log says %v", entry)
		}
	})

	t.Run("a token of the wrong audience", func(t *testing.T) { refusedForItsAudience(t, s, idp, site) })
	s.WantNoToken()
}

// refusedForItsAudience is the part of a caller whose token is for another site.
func refusedForItsAudience(t *testing.T, s *sidecar, idp *sidecartest.IDP, site string) {
	t.Helper()
	wrong := idp.Token("alice", map[string]any{"aud": "https://api.example.com"})
	got, forged := s.Create(wrong, `{"user_id":"alice"}`), s.Create(idp.Token("alice", nil)+"AAAA", `{"user_id":"alice"}`)
	sidecartest.WantStatus(t, got, 401)
	uuid := referenceIn(t, "create", got)
	if sidecartest.WithoutInstance(got) != sidecartest.WithoutInstance(forged) {
		t.Errorf("the caller learns which check failed: %s", got.Body)
	}
	entry := s.lineWith(`"msg":"bearer token refused"`, uuid)
	mend, _ := entry["mend"].(string)
	if entry["reason"] != "audience" || !strings.Contains(mend, "audience") {
		t.Errorf("the log says %v", entry)
	}
	if entry := s.lineWith("http.log.access", uuid); entry["session_decision"] != "audience" {
		t.Errorf("the access log says %v", entry["session_decision"])
	}
	config := s.Write("Caddyfile", s.Render(site))
	explained := s.Sessions(wrong, "explain", "--config", config, "--offline")
	if explained.OK || !strings.Contains(explained.Out+explained.Err, "audience") {
		t.Errorf("explain says %s%s", explained.Out, explained.Err)
	}
}
