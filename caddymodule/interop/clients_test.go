package interop

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
	"authsidecar/sessions/storetest/servertest"
)

// blocks returns the blocks of code of a page in a language.
func blocks(t testing.TB, page, language string) (all []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(sidecartest.Root(), "caddymodule", "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		all = append(all, found[1])
	}
	return all
}

// A holder is a client of the page about clients. What it gives for a token is that, or one of the
// texts below.
type holder struct {
	save func(answer string)              // takes the answer of a create
	ask  func(several int) (got []string) // asks for an access token so many times at once
}

const (
	signIn = "sign in" // the session is over
	later  = "later"   // the tokens are kept
)

// A line is between a client and the sidecar.
type line struct {
	url       string
	refreshes atomic.Int32
	drop      atomic.Bool // the answer of the next refresh
	spoil     atomic.Bool // the body of the next refresh, which is no JSON then
}

func newLine(t testing.TB, to string) *line {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	l := new(line)
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ModifyResponse = func(resp *http.Response) error {
		if strings.HasSuffix(resp.Request.URL.Path, "/current/refresh") {
			l.refreshes.Add(1)
			if l.drop.CompareAndSwap(true, false) {
				return http.ErrAbortHandler
			}
		}
		return nil
	}
	proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) } // as a line that breaks
	l.url = sidecartest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/current/refresh") && l.spoil.CompareAndSwap(true, false) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader("{")), 1
		}
		proxy.ServeHTTP(w, r)
	})
	return l
}

// TestClients_RefreshAsThePageSays runs each client of the page about clients.
func TestClients_RefreshAsThePageSays(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T, string) *holder{"pages": pageHolder, "native apps": goHolder, "back ends": pythonHolder} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			provider := sidecartest.NewIDP(t, "https://idp.example.com")
			s := sidecartest.New(t)
			s.Start(provider.Site(s, clientApp(t), sidecartest.Lifecycle+"\n\t\tstore flawed DIR"))
			way := newLine(t, s.URL)
			client := start(t, way.url)
			create := func() sidecartest.Answer {
				answer := s.Create(provider.Token("alice", nil), `{"user_id":"alice"}`)
				sidecartest.WantStatus(t, answer, 200)
				old := maps.Clone(answer.Fields)
				old["expires_in"] = 0
				text, _ := json.Marshal(old) // of what was JSON
				client.save(string(text))
				way.refreshes.Store(0)
				return answer
			}
			refreshesOnce(t, s, way, client, create)
			survivesALostAnswer(t, s, way, client, create)
			keepsItsTokensWhileTheStoreIsDown(t, s, client, create)
			keepsItsTokensAfterAnotherBadRequest(t, s, way, client, create)
			forgetsASessionThatIsOver(t, s, client, create)
		})
	}
}

// wantToken checks that all got the same new token, which is good.
func wantToken(t *testing.T, s *sidecartest.Sidecar, got []string, first sidecartest.Answer) {
	t.Helper()
	for _, token := range got {
		sidecartest.Remember(token)
		if token != got[0] || token == first.Text("access_token") {
			t.Fatalf("it got %q", got)
		}
	}
	sidecartest.WantStatus(t, s.Call("GET", "/current", got[0], ""), 200)
}

func refreshesOnce(t *testing.T, s *sidecartest.Sidecar, way *line, client *holder, create func() sidecartest.Answer) {
	t.Helper()
	first := create()
	wantToken(t, s, client.ask(6), first)
	wantToken(t, s, client.ask(1), first)
	if n := way.refreshes.Load(); n != 1 {
		t.Errorf("%d refreshes", n)
	}
}

func survivesALostAnswer(t *testing.T, s *sidecartest.Sidecar, way *line, client *holder, create func() sidecartest.Answer) {
	t.Helper()
	first := create()
	way.drop.Store(true)
	wantToken(t, s, client.ask(2), first)
	if n := way.refreshes.Load(); n != 2 {
		t.Errorf("%d refreshes after a lost answer", n)
	}
}

func keepsItsTokensWhileTheStoreIsDown(t *testing.T, s *sidecartest.Sidecar, client *holder, create func() sidecartest.Answer) {
	t.Helper()
	first := create()
	down := s.Write("down", "")
	if got := client.ask(1); got[0] != later {
		t.Errorf("while the store was down it got %q", got)
	}
	if err := os.Remove(down); err != nil {
		t.Fatal(err)
	}
	wantToken(t, s, client.ask(1), first)
}

func keepsItsTokensAfterAnotherBadRequest(t *testing.T, s *sidecartest.Sidecar, way *line, client *holder, create func() sidecartest.Answer) {
	t.Helper()
	first := create()
	way.spoil.Store(true)
	if got := client.ask(1); got[0] != later {
		t.Errorf("after 400 invalid_request it got %q", got)
	}
	wantToken(t, s, client.ask(1), first)
}

func forgetsASessionThatIsOver(t *testing.T, s *sidecartest.Sidecar, client *holder, create func() sidecartest.Answer) {
	t.Helper()
	sidecartest.WantStatus(t, s.Call("DELETE", "/current", create().Text("access_token"), ""), 200)
	for range 2 {
		if got := client.ask(1); got[0] != signIn {
			t.Errorf("of a revoked session it got %q", got)
		}
	}
}

// clientApp is an app whose page is a client.
func clientApp(t testing.TB) string {
	module := blocks(t, "clients.md", "js")[0]
	return sidecartest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/session.js":
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = w.Write([]byte(module))
		default:
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte("<!doctype html><title>" + r.Header.Get("Authorization") + "</title>"))
		}
	})
}

// pageHolder is three tabs of Chromium.
func pageHolder(t *testing.T, site string) *holder {
	tabs := []*browser{newBrowser(t)}
	tabs = append(tabs, tabs[0].tab(), tabs[0].tab())
	for _, tab := range tabs {
		tab.visit(site)
	}
	use := blocks(t, "clients.md", "js")[1]
	h := &holder{
		save: func(answer string) {
			run[bool](tabs[0], `await (await import("/session.js")).save(`+answer+`); return true`)
		},
		ask: func(several int) []string {
			got := make([]string, several)
			var group sync.WaitGroup
			for i := range got {
				group.Go(func() {
					got[i] = run[string](tabs[i%len(tabs)], `
						const {accessToken, load} = await import("/session.js");
						try {
							return await accessToken() ?? `+quote(signIn)+`;
						} catch (error) {
							return await load() ? `+quote(later)+` : String(error);
						}`)
				})
			}
			group.Wait()
			if several > 1 { // as the page uses it
				shown := run[string](tabs[0], `const {accessToken} = await import("/session.js");`+use+`return response.text()`)
				if !strings.Contains(shown, "Bearer "+got[0]) {
					t.Errorf("the app was shown %s", shown)
				}
			}
			return got
		},
	}
	return h
}

// goHolder is the Go program of the page, with twenty lines that use it.
func goHolder(t *testing.T, site string) *holder {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module app\n\ngo 1.26\n")
	write("session/session.go", blocks(t, "clients.md", "go")[0])
	write("main.go", `package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"

	"app/session"
)

func main() {
	s := &session.Session{API: os.Args[1] + "/auth/sessions", File: os.Args[2]}
	several, err := strconv.Atoi(os.Args[3])
	if err != nil {
		answer, _ := io.ReadAll(os.Stdin)
		fmt.Print(s.Save(answer))
		return
	}
	var group sync.WaitGroup
	for range several {
		group.Go(func() {
			token, err := s.AccessToken()
			if errors.Is(err, session.ErrSignIn) {
				token = "`+signIn+`"
			} else if err != nil {
				token = "`+later+`"
			}
			fmt.Println(token)
		})
	}
	group.Wait()
}
`)
	program := filepath.Join(dir, "program")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building it: %v\n%s", err, out)
	}
	call := func(stdin, what string) string {
		cmd := exec.Command(program, site, filepath.Join(dir, "tokens"), what)
		cmd.Stdin = strings.NewReader(stdin)
		return output(t, cmd)
	}
	return &holder{
		save: func(answer string) {
			if got := call(answer, "save"); got != "<nil>" {
				t.Fatal(got)
			}
		},
		ask: func(several int) []string { return strings.Split(call("", quote(several)), "\n") },
	}
}

// pythonHolder is the Python of the page, a process for each question.
func pythonHolder(t *testing.T, site string) *holder {
	const python = "/usr/bin/python3"
	if _, err := os.Stat(python); err != nil {
		servertest.Missing(t, "Python", "apt-get install -y python3")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "client.py")
	if err := os.WriteFile(program, []byte(blocks(t, "clients.md", "python")[0]+`

import sqlite3, sys

API = sys.argv[1] + "/auth/sessions"
db = sqlite3.connect(sys.argv[2], timeout=60)
if sys.argv[3] == "save":
    db.execute("CREATE TABLE IF NOT EXISTS sessions (user TEXT PRIMARY KEY, access TEXT, refresh TEXT, until REAL)")
    save(db, "alice", json.load(sys.stdin))
    db.commit()
else:
    try:
        print(access_token(db, "alice"))
    except SignIn:
        print("`+signIn+`")
    except OSError:
        print("`+later+`")
`), 0o600); err != nil {
		t.Fatal(err)
	}
	call := func(stdin, what string) string {
		cmd := exec.Command(python, program, site, filepath.Join(dir, "db"), what)
		cmd.Stdin = strings.NewReader(stdin)
		return output(t, cmd)
	}
	return &holder{
		save: func(answer string) { call(answer, "save") },
		ask: func(several int) []string {
			got := make([]string, several)
			var group sync.WaitGroup
			for i := range got {
				group.Go(func() { got[i] = call("", "ask") })
			}
			group.Wait()
			return got
		},
	}
}

// output runs a command, and returns what it printed, without the line end.
func output(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%v: %v\n%s", cmd.Args, err, errs.String())
	}
	return strings.TrimSuffix(string(out), "\n")
}
