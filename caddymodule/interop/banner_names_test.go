package interop

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"authsidecar/caddymodule/internal/sidecartest"
)

// What users can leave in a page, without a script, are elements whose names hide what the document
// has by these names. Whoever acts as them has the bar all the same.
func TestBanner_NamesInThePageHideNoBar(t *testing.T) {
	t.Parallel()
	app := sidecartest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		page := "<!doctype html><title>Orders</title><p>Orders"
		for _, name := range []string{"currentScript", "body", "createElement", "readyState", "visibilityState", "addEventListener", "documentElement"} {
			page += `<img name="` + name + `" id="` + name + `"><form name="` + name + `"></form>`
		}
		_, _ = io.WriteString(w, page)
	})
	s := &scene{Sidecar: sidecartest.New(t), t: t, idp: sidecartest.NewIDP(t, "https://idp.example.com")}
	site := s.idp.Site(s.Sidecar, app, sidecartest.Lifecycle+"\n\t\tidentity\n\t\tbrowser {\n\t\t\tbanner\n\t\t}\n")
	s.Start(strings.Replace(site, "issuer "+sidecartest.Issuer, "issuer "+s.URL, 1))
	s.desk = s.idp.Token("carol", map[string]any{"scope": "sessions:impersonate"})
	l := s.inBrowser()
	link, _ := l.link("alice")
	l.visit(link)
	l.until("Act as alice?")
	l.press("\t")
	l.press("\r")
	for end := time.Now().Add(time.Minute); run[string](l.browser, `return document.title`) != "Orders"; { // the text of this page is hidden, too
		if time.Now().After(end) {
			t.Fatal("the page does not come")
		}
	}
	shown := run[string](l.browser, `
		const find = () => Document.prototype.querySelector.call(document, "html > body > auth-sessions-bar");
		for (let i = 0; i < 100 && !find(); i++) await new Promise((resolve) => setTimeout(resolve, 50));
		return find() ? "shown" : "hidden"`)
	if shown != "shown" {
		t.Errorf("the bar is %s", shown)
	}
	l.quiet()
}
