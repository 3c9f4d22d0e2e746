package interop

import (
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/storage"
	"github.com/chromedp/chromedp"

	"authsidecar/caddymodule/internal/sidecartest"
)

// look notes all that a page can get hold of, and where the tab has been.
func (r *recording) look(b *browser) {
	b.t.Helper()
	for name, text := range run[map[string]string](b, everything) {
		r.note(name, text)
	}
	entries, err := chromedp.Run(b.ctx, chromedp.NavigationEntries())
	if err != nil {
		b.t.Fatal(err)
	}
	for _, entry := range entries.Entries {
		r.note("navigation history", entry.URL+" "+entry.Title)
		r.note(asClicked, entry.UserTypedURL)
	}
}

// everything is a script that returns what the page can read.
const everything = `
const databases = [];
for (const { name } of await indexedDB.databases()) {
	const database = await new Promise((resolve, reject) => {
		const asked = indexedDB.open(name);
		asked.onsuccess = () => resolve(asked.result);
		asked.onerror = () => reject(asked.error);
	});
	for (const store of database.objectStoreNames) {
		const all = database.transaction(store).objectStore(store);
		for (const asked of [all.getAllKeys(), all.getAll()]) {
			await new Promise((resolve) => { asked.onsuccess = resolve; });
			databases.push(name, store, asked.result);
		}
	}
	database.close();
}
const kept = [];
for (const name of await caches.keys()) {
	const cache = await caches.open(name);
	for (const request of await cache.keys()) {
		const answer = await cache.match(request);
		kept.push(name, request.url, [...answer.headers], await answer.text());
	}
}
return {
	"localStorage": JSON.stringify({ ...localStorage }),
	"sessionStorage": JSON.stringify({ ...sessionStorage }),
	"IndexedDB": JSON.stringify(databases),
	"caches": JSON.stringify(kept),
	"document.cookie": document.cookie,
	"page": document.documentElement.outerHTML,
	"address": [location.href, document.referrer].join(" "),
	"history.state": JSON.stringify(history.state),
};`

// note keeps a text in which no token may be.
func (r *recording) note(place, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.places[place] += text + "\n"
}

// Where a browser remembers the address that somebody clicked, with its fragment, and so the code of a
// link, which is good once.
const (
	asClicked = "addresses as they were clicked"
	netLog    = "the browser's log of the network"
	profile   = "the browser's profile"
)

// leaks returns the places in which a token or a secret is.
func (r *recording) leaks() (found []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, place := range slices.Sorted(maps.Keys(r.places)) {
		secrets := r.secrets
		if place == asClicked || place == netLog || place == profile {
			secrets = nil
		}
		if _, leaked := sidecartest.Leaked(r.places[place], secrets...); leaked {
			found = append(found, place)
		}
	}
	return found
}

// noteFiles notes the files below a folder, under its name.
func (r *recording) noteFiles(t testing.TB, place, dir string, but ...string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || slices.Contains(but, entry.Name()) {
			return err
		}
		data, err := os.ReadFile(path)
		r.note(place, strings.ReplaceAll(string(data), "\x00", "")) // of texts in UTF-16 too
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// search ends the browser, and searches all that was written: no token is in it, and no code of a
// link. The cookies themselves are where the browser keeps cookies, and nowhere else.
func (s *story) search() {
	s.t.Helper()
	for _, tab := range s.tabs {
		for _, host := range []string{s.at(asName), s.URL} {
			tab.visit(host + "/auth/sessions/signed-out")
			s.look(tab)
		}
	}
	s.wantTapped()
	s.note("metrics", s.metrics())
	if err := chromedp.Cancel(s.first.ctx); err != nil { // and so it writes all that it has to write
		s.t.Fatal(err)
	}
	s.note("the app's log", s.app.written())
	s.note("Caddy's log", s.Log())
	for name, file := range map[string]string{"the audit": s.audit, netLog: s.netLog} {
		data, err := os.ReadFile(file)
		if err != nil || len(data) == 0 {
			s.t.Fatalf("%s: %d bytes: %v", name, len(data), err)
		}
		s.note(name, string(data))
	}
	s.noteFiles(s.t, profile, s.profile, "Cookies", "Cookies-journal")
	s.wantSearched()
	for _, place := range s.leaks() {
		s.t.Errorf("a token, or the code of a link, is in: %s", place)
	}
}

// wantSearched expects that what was searched is what it is meant to be.
func (s *story) wantSearched() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for place, text := range map[string]string{
		"localStorage": "is alice", "sessionStorage": "is alice", "IndexedDB": "is alice", "caches": "is alice", "document.cookie": "theme=dark",
		"page": "You are signed out", "address": s.URL, "navigation history": "/signed-out", "console": "is alice", "requests": "/orders",
		"the app's log": "Cookie: theme=dark", "Caddy's log": `"uri":"/orders"`, "the audit": `"alice"`, netLog: "/orders", "metrics": "auth_sessions_",
		profile: "/orders",
	} {
		if !strings.Contains(s.places[place], text) {
			s.t.Errorf("%s has no %q", place, text)
		}
	}
}

// wantTapped expects that the tap has seen the tokens that are in the browser.
func (s *story) wantTapped() {
	s.t.Helper()
	for _, tab := range s.tabs {
		for _, cookie := range call(tab, storage.GetCookies, storage.GetCookiesParams{}).Cookies {
			if isOurs(cookie.Name) && !slices.Contains(s.seen(cookie.Name), cookie.Value) {
				s.t.Errorf("the tap has missed a token in the cookie %s", cookie.Name)
			}
		}
	}
	for _, name := range []string{cookieOwn, cookieOwn + "-refresh"} {
		if len(s.seen(name)) < 4 {
			s.t.Errorf("%d tokens were seen in %s", len(s.seen(name)), name)
		}
	}
}

func (s *story) metrics() string {
	s.t.Helper()
	resp, err := http.Get("http://" + s.Admin + "/metrics") //nolint:bodyclose // Read closes it
	if err != nil {
		s.t.Fatal(err)
	}
	got, err := sidecartest.Read(resp)
	if err != nil || got.Status != http.StatusOK {
		s.t.Fatal(got.Status, err)
	}
	return got.Body
}
