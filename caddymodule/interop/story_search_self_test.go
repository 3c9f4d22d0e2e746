package interop

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"

	"authsidecar/caddymodule/internal/sidecartest"
)

// The search finds a token wherever one is put, and says where; and none where there is none.
func TestStory_TheSearchFindsATokenInEachPlace(t *testing.T) {
	t.Parallel()
	first, site := newBrowser(t), page(t)
	token := sidecartest.NewIDP(t, "https://idp.example.com").Token("alice", nil)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("a\x00"+token), 0o600); err != nil {
		t.Fatal(err)
	}
	type plant func(*recording, *browser)
	inPage := func(script string) plant {
		return func(_ *recording, b *browser) {
			run[bool](b, "const token = "+quote(token)+"; "+script+"; return true")
		}
	}
	tests := map[string]struct {
		plant plant
		want  []string
	}{
		"nowhere":         {func(*recording, *browser) {}, nil},
		"localStorage":    {inPage(`localStorage.a = token`), []string{"localStorage"}},
		"sessionStorage":  {inPage(`sessionStorage.a = "a " + token`), []string{"sessionStorage"}},
		"IndexedDB":       {inPage(`await new Promise((resolve) => { const asked = indexedDB.open("a"); asked.onupgradeneeded = () => asked.result.createObjectStore("a").add({ deep: [token] }, 1); asked.onsuccess = () => { asked.result.close(); resolve(); }; })`), []string{"IndexedDB"}},
		"caches, a body":  {inPage(`await (await caches.open("a")).put("/a", new Response(token))`), []string{"caches"}},
		"caches, a field": {inPage(`await (await caches.open("a")).put("/a", new Response("", { headers: { a: token } }))`), []string{"caches"}},
		"document.cookie": {inPage(`document.cookie = "a=" + token`), []string{"document.cookie"}},
		"the page":        {inPage(`document.body.innerHTML = "<p title=" + token + ">"`), []string{"page"}},
		"history.state":   {inPage(`history.replaceState({ token }, "")`), []string{"history.state"}},
		"the history":     {inPage(`history.pushState(null, "", "?" + token); history.pushState(null, "", "/")`), []string{"navigation history"}},
		"the address":     {func(_ *recording, b *browser) { b.visit(site + "/?" + token) }, []string{"address", asClicked, "navigation history", "requests"}},
		"a request":       {inPage(`await fetch("/?" + token)`), []string{"requests"}},
		"the console":     {inPage(`console.debug("a", { a: 1 }, "b" + token)`), []string{"console"}},
		"an exception":    {inPage(`setTimeout(() => { throw new Error(token) }); await new Promise((resolve) => setTimeout(resolve, 10))`), []string{"console"}},
		"a file":          {func(r *recording, _ *browser) { r.noteFiles(t, "a folder", filepath.Dir(file)) }, []string{"a folder"}},
		"a secret":        {func(r *recording, _ *browser) { r.secret("a code"); r.note("a log", "with a code in it") }, []string{"a log"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r, b := newRecording(), first.tab(chromedp.WithNewBrowserContext())
			r.record(b)
			b.visit(site)
			tt.plant(r, b)
			r.look(b)
			if got := r.leaks(); !slices.Equal(got, tt.want) {
				t.Errorf("a token in %s is found in %q, want %q", name, got, tt.want)
			}
		})
	}
}
