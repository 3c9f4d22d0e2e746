package caddymodule_test

import (
	"context"
	"fmt"
	"html"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
	"authsidecar/sessions/browser/signin/signintest"
)

// A consoleSite is a site with a console.
type consoleSite struct {
	*sidecar

	t        *testing.T
	provider *signintest.Provider
	origin   string // of the console
}

// newConsoleSite starts one, with more rules and words of the block, and of that of its trust.
func newConsoleSite(t *testing.T, more string, trust ...string) *consoleSite {
	t.Helper()
	s := &consoleSite{sidecar: newSidecar(t), t: t, provider: signintest.NewProvider(t, "site")}
	s.origin = "http://console.localhost:" + sidecartest.PortOf(s.URL)
	s.Start(fmt.Sprintf(`SITE {
	auth_sessions {
		issuer %[1]s
		trust %[2]s {
			audience %[1]s/auth/sessions
			%[6]s
		}
		allow self
		allow claim roles support
		manage claim roles officer
		protect user root
		impersonation {
			require_reason
		}
		audit file DIR/audit.jsonl
		%[5]s
		lifecycle
		identity
		browser {
			console %[4]s
			sign_in %[2]s {
				client_id site
			}
		}
	}
	reverse_proxy %[3]s
}
`, s.URL, s.provider.URL, strings.TrimPrefix(sidecartest.Echo(t), "http://"), s.origin, more, strings.Join(trust, "\n")))
	return s
}

// A guest is a browser at the console.
type guest struct {
	*visitor

	site *consoleSite
}

// guest returns a browser in which somebody signed in at the console, with roles.
func (s *consoleSite) guest(sub string, roles ...string) *guest {
	s.t.Helper()
	v := newVisitor(s.t, s.Sidecar)
	v.site = s.origin
	v.Transport = &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if host, port, _ := net.SplitHostPort(addr); strings.HasSuffix(host, ".localhost") {
			addr = "127.0.0.1:" + port
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}
	g := &guest{v, s}
	g.signsIn(sub, roles...)
	return g
}

// signsIn signs somebody in.
func (g *guest) signsIn(sub string, roles ...string) {
	g.t.Helper()
	g.site.provider.Change(func() {
		g.site.provider.Claims = signintest.Object{"sub": sub, "roles": roles, "email": sub + "@example.com"}
	})
	got := g.visitor.goTo(g.begin("/"))
	sidecartest.WantStatus(g.t, got, http.StatusSeeOther)
	sidecartest.WantHeaders(g.t, got, "Location", "/")
}

// page goes to a page of the console, which is one.
func (g *guest) page(path string, status int, want ...string) string {
	g.t.Helper()
	got := g.goTo(g.site.origin + path)
	return wantConsolePage(g.t, got, status, want...)
}

func wantConsolePage(t *testing.T, got sidecartest.Answer, status int, want ...string) string {
	t.Helper()
	sidecartest.WantStatus(t, got, status)
	sidecartest.WantHeaders(t, got, "Content-Type", "text/html; charset=utf-8", "Cache-Control", "no-store", "Referrer-Policy", "same-origin")
	policy := got.Header.Get("Content-Security-Policy")
	sidecartest.WantIn(t, policy, "default-src 'none'", "style-src 'self'", "script-src 'self'", "frame-ancestors 'none'")
	sidecartest.WantIn(t, got.Body, want...)
	if strings.Contains(policy, "unsafe") || strings.Contains(got.Body, "eyJ") || strings.Contains(got.Body, "style=") {
		t.Errorf("%s\n%s", policy, got.Body)
	}
	return got.Body
}

// posts sends a form as a page of the console does, and returns where it leads.
func (g *guest) posts(path string, form url.Values) string {
	g.t.Helper()
	got := g.send(path, form, "Sec-Fetch-Site", "same-origin")
	sidecartest.WantStatus(g.t, got, http.StatusSeeOther)
	return got.Header.Get("Location")
}

func (g *guest) send(path string, form url.Values, headers ...string) sidecartest.Answer {
	g.t.Helper()
	req, err := http.NewRequest(http.MethodPost, g.site.origin+path, strings.NewReader(form.Encode()))
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "text/html")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := g.Do(req) //nolint:bodyclose // Read closes it
	if err != nil {
		g.t.Fatal(err)
	}
	got, err := sidecartest.Read(resp)
	if err != nil {
		g.t.Fatal(err)
	}
	return got
}

var sessionField = regexp.MustCompile(`name="id" value="([\w-]{22})"`)

// ids are the sessions that a page can end.
func ids(body string) (all []string) {
	for _, match := range sessionField.FindAllStringSubmatch(body, -1) {
		all = append(all, match[1])
	}
	return all
}

// acts starts an impersonation by the form, and returns its link.
func (g *guest) acts(user, reason string) (link string) {
	g.t.Helper()
	to := g.posts("/act", url.Values{"user": {user}, "reason": {reason}, "life": {"900"}})
	body := g.page(to, http.StatusOK, "Act as "+html.EscapeString(user))
	found := regexp.MustCompile(`readonly value="([^"]+)"`).FindStringSubmatch(body)
	if found == nil {
		g.t.Fatal(body)
	}
	return found[1]
}

// People see where they are signed in, and end what they do not know.
func TestConsole_PeopleSeeAndEndTheirOwnSessions(t *testing.T) {
	t.Parallel()
	s := newConsoleSite(t, "")
	first := s.guest("alice")
	other := s.guest("alice")
	s.guest("bob")
	body := first.page("/", http.StatusOK, "Where you are signed in", "this one", "this console", "Revoke all others")
	if len(ids(body)) != 1 || strings.Contains(body, "bob") || strings.Contains(body, "Act as") || strings.Contains(body, "/acting") {
		t.Fatal(body)
	}
	to := first.posts("/end", url.Values{"id": {ids(body)[0]}})
	body = first.page(to, http.StatusOK, "One session was revoked.")
	if len(ids(body)) != 0 || strings.Contains(body, "Revoke all others") {
		t.Error(body)
	}
	got := other.goTo(s.origin + "/")
	sidecartest.WantStatus(t, got, http.StatusSeeOther)
	sidecartest.WantHeaders(t, got, "Location", "/auth/sessions/sign-in?return_to=%2F")
	s.guest("alice")
	s.guest("alice")
	first.page(first.posts("/end-others", nil), http.StatusOK, "2 sessions were revoked.", "this one")
	if got := s.auditText(); !slices.ContainsFunc(got, func(line string) bool {
		return strings.Contains(line, `"event":"revoked"`) && strings.Contains(line, `"note":"by the console"`)
	}) {
		t.Errorf("%s", got)
	}
}

// auditText are the lines of the audit.
func (s *consoleSite) auditText() []string {
	s.t.Helper()
	data, err := os.ReadFile(filepath.Join(s.Dir, "audit.jsonl"))
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}

// Who may act as somebody gets a link by the form, sees what they do, and nothing of others; who may
// manage sees all, finds and ends it, and its history.
func TestConsole_WhoHasRightsSeesAndEndsWhoActsAsWhom(t *testing.T) {
	t.Parallel()
	s := newConsoleSite(t, "")
	desk, other, officer := s.guest("desk", "support"), s.guest("desk-2", "support"), s.guest("boss", "officer")
	link := desk.acts("alice", "ticket 4711")
	if !strings.HasPrefix(link, s.URL+"/auth/sessions/open#") {
		t.Error(link)
	}
	other.acts("bob", "ticket 9")
	body := desk.page("/acting", http.StatusOK, "alice", "ticket 4711", "link not opened", "Act as a user")
	if strings.Contains(body, "bob") || strings.Contains(body, "/history") {
		t.Error(body)
	}
	if got := desk.page("/acting?user=bob", http.StatusOK, "Nothing was found."); strings.Contains(got, "desk-2") {
		t.Error(got)
	}
	body = officer.page("/acting", http.StatusOK, "alice", "bob", "desk-2", "/history")
	if len(ids(body)) != 2 || strings.Contains(body, `href="/act"`) {
		t.Error(body)
	}
	desk.page("/history", http.StatusForbidden, "Not with this account")
	officer.page("/act", http.StatusForbidden, "Not with this account")
	body = officer.page("/acting?user=bob&actor=desk-2", http.StatusOK, "bob")
	if len(ids(body)) != 1 || strings.Contains(body, "alice") {
		t.Error(body)
	}
	ofBob := ids(body)
	if got := desk.send("/acting/end", url.Values{"id": ofBob}, "Sec-Fetch-Site", "same-origin"); got.Status != http.StatusNotFound {
		t.Errorf("who has no right over it ended it: %d", got.Status)
	}
	to := officer.posts("/acting/end", url.Values{"id": ofBob, "user": {"bob"}})
	officer.page(to, http.StatusOK, "One session was revoked.", "Nothing was found.")
	other.acts("carol", "ticket 10")
	other.acts("dave", "ticket 11")
	officer.page("/acting/end-all?actor=desk-2", http.StatusOK, "2 sessions would be revoked.")
	to = officer.posts("/acting/end-all", url.Values{"actor": {"desk-2"}})
	officer.page(to, http.StatusOK, "2 sessions were revoked.", "Nothing was found.")
	officer.page("/acting", http.StatusOK, "alice")
	officer.page("/history", http.StatusOK, "revoked", "created", "ticket 11", "by the console", "boss")
	if got := officer.page("/history?user=alice", http.StatusOK, "ticket 4711"); strings.Contains(got, "ticket 11") {
		t.Error(got)
	}
}

// An actor is found, and their sessions are revoked, by each name that their issuer has in tokens.
func TestConsole_AnActorIsFoundByEachNameOfTheirIssuer(t *testing.T) {
	t.Parallel()
	const spelled = "desk.example.com"
	s := newConsoleSite(t, "", "issuers "+spelled)
	usual := s.provider.URL
	for _, name := range []string{usual, spelled} {
		s.provider.Change(func() { s.provider.URL = name })
		token := s.provider.AccessToken(s.URL+"/auth/sessions", "desk", `,"roles":["support"]`)
		s.provider.Change(func() { s.provider.URL = usual })
		sidecartest.WantStatus(t, s.Create(token, `{"user_id":"alice","reason":"of `+name+`"}`), http.StatusOK)
	}
	officer := s.guest("boss", "officer")
	officer.page("/acting?actor=desk&issuer=*", http.StatusOK, "of "+usual, "of "+spelled, "<option>"+spelled)
	to := officer.posts("/acting/end-all", url.Values{"actor": {"desk"}, "issuer": {"*"}})
	officer.page(to, http.StatusOK, "2 sessions were revoked.", "Nothing was found.")
}

// The form demands what the policy demands, and says what is wrong in the page that was sent.
func TestConsole_TheFormSaysWhatThePolicyDemands(t *testing.T) {
	t.Parallel()
	s := newConsoleSite(t, "")
	desk := s.guest("desk", "support")
	desk.page("/act", http.StatusOK, `name="reason" value="" required`, `<option value="3600" selected>1 h`, `<option value="28800">8 h`)
	for _, c := range []struct {
		user, reason, life string
		status             int
		want               string
	}{
		{"alice", " ", "900", 400, "Say in reason"},
		{"root", "ticket", "900", 403, "Your account may not act as this user."},
		{"desk", "ticket", "900", 400, "That is you"},
		{"", "ticket", "900", 400, "1 to 255 bytes"},
		{"alice", "ticket", "99999999", 400, "expires_in_millis"},
		{"alice", "ticket", "x", 400, "This form cannot be read"},
	} {
		got := desk.send("/act", url.Values{"user": {c.user}, "reason": {c.reason}, "life": {c.life}}, "Sec-Fetch-Site", "same-origin")
		wantConsolePage(t, got, c.status, c.want)
	}
	desk.page("/act/link?id=CvuJOSZIKPkINqtfHDSuaA", http.StatusNotFound, "This session is over")
	to := desk.posts("/act", url.Values{"user": {"alice"}, "reason": {"ticket"}, "life": {"900"}})
	s.guest("desk-2", "support").page(to, http.StatusNotFound, "This session is over")
}

// Who has no rights learns nothing of others: no page, no count, no difference between what is there
// and what is not.
func TestConsole_WhoHasNoRightsLearnsNothing(t *testing.T) {
	t.Parallel()
	s := newConsoleSite(t, "manage expression `\"eu\" in caller.roles && user_id.startsWith(\"eu-\")`")
	desk := s.guest("desk", "support")
	desk.acts("bob", "ticket")
	there := ids(desk.page("/acting", http.StatusOK))[0]
	nobody := s.guest("alice")
	for _, path := range []string{"/acting", "/acting?user=bob", "/acting/end-all", "/act", "/act/link?id=" + there, "/history"} {
		nobody.page(path, http.StatusForbidden, "Not with this account")
	}
	for _, path := range []string{"/acting/end", "/acting/end-all", "/act"} {
		form := url.Values{"id": {there}}
		if got := nobody.send(path, form, "Sec-Fetch-Site", "same-origin"); got.Status != http.StatusForbidden {
			t.Errorf("%s: %d", path, got.Status)
		}
	}
	s.guest("eva", "eu").page("/acting", http.StatusOK, "Nobody acts as another user now.")
	var answers []string
	for _, id := range []string{there, "CvuJOSZIKPkINqtfHDSuaA", "x"} {
		got := nobody.send("/end", url.Values{"id": {id}}, "Sec-Fetch-Site", "same-origin")
		sidecartest.WantStatus(t, got, http.StatusNotFound)
		answers = append(answers, got.Body)
	}
	if answers[0] != answers[1] || answers[1] != answers[2] {
		t.Errorf("%q", answers)
	}
	if got := ids(desk.page("/acting", http.StatusOK)); len(got) != 1 {
		t.Error("it is over")
	}
}

// The app is never served on the console's host, whatever the path, the port or the spelling.
func TestConsole_TheAppIsNeverServedOnItsHost(t *testing.T) {
	t.Parallel()
	s := newConsoleSite(t, "")
	port := sidecartest.PortOf(s.URL)
	for _, host := range []string{"console.localhost:" + port, "CONSOLE.localhost:" + port, "console.localhost", "console.localhost:1", "console.localhost.:" + port} {
		for _, path := range []string{"/orders", "/%61cting", "//acting", "/acting/", "/index.php/acting", "/auth/sessions", "/auth/sessions/current", "/auth/sessions/open", "/auth/sessions/jwks.json", "/auth/sessions/sign-in/", "/.well-known/openid-configuration", "/style.css/x"} {
			for _, method := range []string{"GET", "POST", "PUT", "OPTIONS", "HEAD"} {
				req, err := http.NewRequest(method, s.URL+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				req.Host = host
				got, err := s.Do(req)
				if err != nil || got.Status != http.StatusNotFound || strings.Contains(got.Body, method+" ") {
					t.Errorf("%s %s%s: %d %v %s", method, host, path, got.Status, err, got.Body)
				}
			}
		}
	}
}

// A session of the console is good there alone, and one of the app is good for nothing there.
func TestConsole_ItsSessionsAreGoodThereAlone(t *testing.T) {
	t.Parallel()
	s := newConsoleSite(t, "")
	console := s.guest("boss", "officer")
	access, refresh := console.tokens()
	ask := func(host, access, refresh string) sidecartest.Answer {
		req, err := http.NewRequest("GET", s.URL+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = strings.TrimPrefix(host, "http://")
		req.Header.Set("Accept", "text/html")
		for name, value := range map[string]string{"session": access, "session-refresh": refresh} {
			if value != "" {
				req.AddCookie(&http.Cookie{Name: name, Value: value})
			}
		}
		client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		resp, err := client.Do(req) //nolint:bodyclose // Read closes it
		if err != nil {
			t.Fatal(err)
		}
		got, err := sidecartest.Read(resp)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	for name, got := range map[string]sidecartest.Answer{"access": ask(s.URL, access, ""), "refresh": ask(s.URL, "", refresh), "both": ask(s.URL, access, refresh)} {
		if strings.Contains(got.Body, "X-Auth-User: boss") {
			t.Errorf("%s: %s", name, got.Body)
		}
	}
	if got := s.Call("GET", "", access, ""); got.Status != http.StatusUnauthorized {
		t.Errorf("the API takes it: %d", got.Status)
	}
	app := newVisitor(t, s.Sidecar)
	access, refresh = app.signIn("/")
	for name, got := range map[string]sidecartest.Answer{"access": ask(s.origin, access, ""), "refresh": ask(s.origin, "", refresh), "both": ask(s.origin, access, refresh)} {
		if got.Status != http.StatusSeeOther {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
}

// No page of another host makes the console do anything, or shows it, or measures it.
func TestConsole_PagesOfOtherHostsReachNothing(t *testing.T) {
	t.Parallel()
	s := newConsoleSite(t, "")
	g := s.guest("alice")
	s.guest("alice")
	for _, headers := range [][]string{{}, {"Sec-Fetch-Site", "same-site"}, {"Sec-Fetch-Site", "cross-site"}, {"Origin", s.URL}, {"Origin", "null"}} {
		wantConsolePage(t, g.send("/end-others", nil, headers...), http.StatusForbidden, "From another site")
	}
	for _, headers := range [][]string{
		{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"},
		{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"},
		{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"},
	} {
		req, err := http.NewRequest("GET", s.origin+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		resp, err := g.Do(req) //nolint:bodyclose // Read closes it
		if err != nil {
			t.Fatal(err)
		}
		if got, err := sidecartest.Read(resp); err != nil || got.Status != http.StatusForbidden {
			t.Errorf("%v: %d, %v", headers, got.Status, err)
		}
	}
	g.page("/", http.StatusOK, "Revoke all others")
}

// Whatever people are called, and whatever their browsers say, it is text.
func TestConsole_EveryValueIsText(t *testing.T) {
	t.Parallel()
	s := newConsoleSite(t, "")
	hostile := `<img src=x onerror=alert(1)>"'`
	long := strings.Repeat("x", 255)
	for _, user := range []string{hostile, long} {
		desk := s.guest(user, "support", "officer")
		desk.acts("alice", hostile)
		desk.acts(hostile+"2", long+long[:200])
		for _, path := range []string{"/", "/acting", "/acting?user=" + url.QueryEscape(hostile), "/acting/end-all?actor=" + url.QueryEscape(hostile), "/act?user=" + url.QueryEscape(hostile), "/history"} {
			if got := desk.page(path, http.StatusOK); strings.Contains(got, "<img") || strings.Contains(got, `>"'`) {
				t.Errorf("%s: %s", path, got)
			}
		}
	}
}

// While the store is down everything is a page that says so, and the cookies stay.
func TestConsole_TheStoreIsDown(t *testing.T) {
	t.Parallel()
	s := newConsoleSite(t, "store test_switch DIR/down")
	g := s.guest("desk", "support", "officer")
	down := s.Write("down", "")
	for _, path := range []string{"/", "/acting", "/acting/end-all", "/history"} {
		got := g.goTo(s.origin + path)
		wantConsolePage(t, got, http.StatusServiceUnavailable, "This does not work just now")
		sidecartest.WantHeaders(t, got, "Retry-After", "1")
		if got.Header.Get("Set-Cookie") != "" {
			t.Error(got.Header)
		}
	}
	form := url.Values{"user": {"alice"}, "reason": {"ticket"}, "life": {"900"}}
	wantConsolePage(t, g.send("/act", form, "Sec-Fetch-Site", "same-origin"), http.StatusServiceUnavailable)
	if err := os.Remove(down); err != nil {
		t.Fatal(err)
	}
	g.page("/", http.StatusOK, "this one")
}

// A page of another host can send people to a page of the console, and see how long that takes: what
// it gets is the same for everybody, and does not look for anything.
func TestConsole_NoOtherHostMeasuresWhatThereIs(t *testing.T) {
	t.Parallel()
	s := newConsoleSite(t, "")
	g := s.guest("olga", "officer")
	s.guest("carol", "support").acts("alice", "ticket 4711")
	from := func(path string, headers ...string) sidecartest.Answer {
		t.Helper()
		req, err := http.NewRequest(http.MethodGet, s.origin+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		resp, err := g.Do(req) //nolint:bodyclose // Read closes it
		if err != nil {
			t.Fatal(err)
		}
		got, err := sidecartest.Read(resp)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	for _, path := range []string{"/acting", "/acting/end-all?user=alice", "/history?user=alice", "/?cursor=x", "/act"} {
		for _, site := range []string{"cross-site", "same-site"} {
			navigation := []string{"Sec-Fetch-Site", site, "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}
			got := from(path, append(navigation, "Referer", "https://evil.example.com/")...)
			body := wantConsolePage(t, got, http.StatusOK, "One moment", `href="`+path+`"`)
			sidecartest.WantHeaders(t, got, "Refresh", "0;url="+path, "Set-Cookie", "")
			if strings.Contains(body, "olga") || strings.Contains(body, "carol") {
				t.Errorf("%s from %s: %s", path, site, body)
			}
		}
	}
	wantConsolePage(t, from("/acting/end-all?user=alice", "Sec-Fetch-Site", "same-origin"), http.StatusOK, "olga", "One session would be revoked")
	wantConsolePage(t, from("/acting?user=alice", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Referer", s.origin+"/acting?user=alice"), http.StatusOK, "carol")
	wantConsolePage(t, from("/", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"), http.StatusOK, "olga")
}

// A day after they signed in people still see their own sessions, and for everything else the console
// asks to sign in again.
func TestConsole_AfterADayItAsksToSignInAgain(t *testing.T) {
	t.Parallel()
	s := newConsoleSite(t, "store test_clock DIR/ahead")
	g := s.guest("boss", "support", "officer")
	g.page("/acting", http.StatusOK)
	s.Write("ahead", "24h1m")
	for _, path := range []string{"/acting", "/acting/end-all", "/act", "/history"} {
		body := g.page(path, http.StatusForbidden, "Sign in again", "sign_in_again")
		sidecartest.WantIn(t, body, `href="/auth/sessions/sign-in?return_to=`+url.QueryEscape(path)+`"`)
	}
	form := url.Values{"user": {"alice"}, "reason": {"ticket"}, "life": {"900"}}
	wantConsolePage(t, g.send("/act", form, "Sec-Fetch-Site", "same-origin"), http.StatusForbidden, "sign_in_again")
	if body := g.page("/", http.StatusOK, "this one", "Sign in again"); strings.Contains(body, "/acting") {
		t.Error(body)
	}
}
