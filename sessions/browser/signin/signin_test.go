package signin_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/browser/signin"
	"authsidecar/sessions/browser/signin/signintest"
	"authsidecar/sessions/jose"
)

// Public and confidential clients sign people in, each authenticating as the provider says.
func TestSignIn_APersonBecomesTheCallerOfTheirIDToken(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, secret string
		methods      any
		basic        [2]string
		secretInBody string
	}{
		{"a confidential client, by default in the header", "s3cret: ä", signintest.Absent, [2]string{clientID, "s3cret%3A+%C3%A4"}, ""},
		{"a confidential client, in the header where both will do", "s3cret", []string{"client_secret_post", "client_secret_basic"}, [2]string{clientID, "s3cret"}, ""},
		{"a confidential client, in the body", "s3cret", []string{"private_key_jwt", "client_secret_post"}, [2]string{}, "s3cret"},
		{"a public client", "", []string{"none"}, [2]string{}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newProvider(t)
			p.Document = signintest.Object{"token_endpoint_auth_methods_supported": test.methods}
			b := newBrowser(t, newClient(t, p, func(c *signin.Config, _ *bearer.Issuer) { c.ClientSecret = test.secret }))
			to := b.begun("/orders?page=2")
			asked, err := url.Parse(to)
			if err != nil {
				t.Fatal(err)
			}
			if query := asked.Query(); query.Get("redirect_uri") != site+path+"/callback" || query.Get("scope") != "openid email" || query.Get("client_id") != clientID {
				t.Errorf("asked with %v", query)
			}
			got, err := b.finish(p.Authorize(to))
			wantCaller(t, got, err, "/orders?page=2")
			if p.Basic != test.basic || p.Asked.Get("client_secret") != test.secretInBody || p.Asked.Get("redirect_uri") != site+path+"/callback" {
				t.Errorf("authenticated as %q, with %v", p.Basic, p.Asked)
			}
			if b.cookies() != 0 {
				t.Error("the cookie of the flow is still there")
			}
		})
	}
}

// What decides who may sign in is what is configured for the issuer's bearer tokens.
func TestSignIn_TheTrustDecides(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	p.Claims = signintest.Object{"email": "alice@example.com", "email_verified": false}
	byEmail := newBrowser(t, newClient(t, p, func(_ *signin.Config, i *bearer.Issuer) { i.UserClaim = "email" }))
	_, err := byEmail.finish(p.Authorize(byEmail.begun("/")))
	wantRefused(t, err, bearer.ReasonUnverified)

	only := newBrowser(t, newClient(t, p, func(_ *signin.Config, i *bearer.Issuer) { i.Only = []sessions.Condition{never{}} }))
	_, err = only.finish(p.Authorize(only.begun("/")))
	wantRefused(t, err, bearer.ReasonOnly)

	foreign := newBrowser(t, newClient(t, p, func(_ *signin.Config, i *bearer.Issuer) { i.Users = false }))
	got, err := foreign.finish(p.Authorize(foreign.begun("/")))
	if err != nil || got.Caller.IsUser() {
		t.Errorf("subjects that are no user ids: %v, %v", got.Caller, err)
	}
}

// never holds for nobody.
type never struct{}

func (never) Holds(*sessions.RuleInput) bool { return false }
func (never) PerSession() bool               { return false }
func (never) Claims() ([]string, bool)       { return nil, false }

func wantRefused(t *testing.T, err error, want bearer.Reason) {
	t.Helper()
	refusal, ok := errors.AsType[*bearer.Refusal](err)
	if !ok || refusal.Reason != want {
		t.Errorf("refused with %v, want %s", err, want)
	}
}

// Each tab has a flow of its own, and each goes where it was going, in any order.
func TestSignIn_ParallelTabsDoNotDisturbEachOther(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	b := newBrowser(t, newClient(t, p, nil))
	first, second := b.begun("/first"), b.begun("/second")
	got, err := b.finish(p.Authorize(second))
	wantCaller(t, got, err, "/second")
	got, err = b.finish(p.Authorize(first))
	wantCaller(t, got, err, "/first")
}

// Cookies do not pile up: the oldest flow gives way, and what is no flow goes.
func TestSignIn_TheOldestFlowGivesWay(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	b := newBrowser(t, newClient(t, p, nil))
	b.jar.SetCookies(&url.URL{Scheme: "https", Host: "app.example.com"}, []*http.Cookie{{Name: "__Host-session-in-JUNK", Value: "junk", Secure: true, Path: "/"}})
	var all []string
	for range signin.MaxFlows + 1 {
		p.Now = p.Now.Add(time.Second)
		all = append(all, b.begun("/"+strings.Repeat("x", signin.MaxReturnTo-1)))
	}
	if got := b.cookies(); got != signin.MaxFlows {
		t.Errorf("%d cookies, want %d", got, signin.MaxFlows)
	}
	if size := len(b.request(site).Header.Get("Cookie")); size > 7<<10 {
		t.Errorf("the cookies of flows have %d bytes of the 16 KiB that a request may have", size)
	}
	if _, err := b.finish(p.Authorize(all[0])); !errors.Is(err, signin.ErrUnknown) {
		t.Errorf("the oldest one: %v", err)
	}
	for _, to := range all[1:] {
		if _, err := b.finish(p.Authorize(to)); err != nil {
			t.Error(err)
		}
	}
}

// The back button, a page loaded again, and a second click bring an answer again.
func TestSignIn_AnAnswerIsGoodOnce(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	b := newBrowser(t, newClient(t, p, nil))
	answer := p.Authorize(b.begun("/"))
	got, err := b.finish(answer)
	wantCaller(t, got, err, "/")
	if _, err := b.finish(answer); !errors.Is(err, signin.ErrUnknown) {
		t.Errorf("the second time: %v", err)
	}
	if len(p.Codes) != 0 {
		t.Error("the code was not used")
	}
}

// Where the first answer got lost with its cookies, the code is used already: begin again.
func TestSignIn_AUsedCodeSaysBeginAgain(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	b := newBrowser(t, newClient(t, p, nil))
	answer := p.Authorize(b.begun("/orders"))
	delete(p.Codes, answer.Get("code"))
	got, err := b.finish(answer)
	if !errors.Is(err, signin.ErrUnknown) || got.ReturnTo != "/orders" {
		t.Errorf("%q, %v", got.ReturnTo, err)
	}
}

// An attacker who has a victim open the answer to the attacker's own sign-in signs nobody in.
func TestSignIn_LoginCSRF(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	client := newClient(t, p, nil)
	attacker, victim := newBrowser(t, client), newBrowser(t, client)
	answer := p.Authorize(attacker.begun("/"))
	if _, err := victim.finish(answer); !errors.Is(err, signin.ErrUnknown) {
		t.Errorf("without a flow: %v", err)
	}
	victim.begun("/")
	if _, err := victim.finish(answer); !errors.Is(err, signin.ErrUnknown) {
		t.Errorf("with a flow of their own: %v", err)
	}
	if p.Asked != nil {
		t.Error("the code went to the provider")
	}
}

// A code of the attacker's does not get into a flow of the victim's: PKCE and nonce are in its
// cookie.
func TestSignIn_CodeInjection(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	client := newClient(t, p, nil)
	attacker, victim := newBrowser(t, client), newBrowser(t, client)
	planted := p.Authorize(attacker.begun("/"))
	answer := p.Authorize(victim.begun("/"))
	answer.Set("code", planted.Get("code"))
	if _, err := victim.finish(answer); !errors.Is(err, signin.ErrUnknown) {
		t.Errorf("a planted code: %v", err)
	}
}

// A cookie that was made up, changed, given another name, made by another key or kept too long is
// no flow.
func TestSignIn_CookiesThatAreNoFlow(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	other := newBrowser(t, newClient(t, p, func(c *signin.Config, _ *bearer.Issuer) { c.Key = func() []byte { return make([]byte, 32) } }))
	for _, test := range []struct {
		name string
		do   func(b *browser, cookie *http.Cookie)
	}{
		{"changed", func(_ *browser, c *http.Cookie) { c.Value = "AAAA" + c.Value[4:] }},
		{"empty", func(_ *browser, c *http.Cookie) { c.Value = "" }},
		{"too short", func(_ *browser, c *http.Cookie) { c.Value = c.Value[:20] }},
		{"not base64", func(_ *browser, c *http.Cookie) { c.Value = "%%%" }},
		{"of another key", func(_ *browser, c *http.Cookie) { other.begun("/"); c.Value = other.request(site).Cookies()[0].Value }},
		{"too old", func(b *browser, _ *http.Cookie) { p.Now = p.Now.Add(signin.MaxFlow + time.Second) }},
	} {
		b := newBrowser(t, newClient(t, p, nil))
		answer := p.Authorize(b.begun("/"))
		r := b.request(site + path + "/callback?" + answer.Encode())
		cookie := r.Cookies()[0]
		test.do(b, cookie)
		r.Header.Set("Cookie", cookie.Name+"="+cookie.Value)
		if _, err := b.client.Finish(httptest.NewRecorder(), r); !errors.Is(err, signin.ErrUnknown) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	// One that is there twice may be somebody else's.
	b := newBrowser(t, newClient(t, p, nil))
	r := b.request(site + path + "/callback?" + p.Authorize(b.begun("/")).Encode())
	own := b.request(site).Header.Get("Cookie")
	r.Header.Set("Cookie", own+"; "+own)
	if _, err := b.client.Finish(httptest.NewRecorder(), r); !errors.Is(err, signin.ErrUnknown) {
		t.Errorf("twice: %v", err)
	}
}

// An answer that is not as it has to be signs nobody in, and ends its flow.
func TestSignIn_AnswersThatAreNotGood(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(p *signintest.Provider, answer url.Values)
		want   error
	}{
		{"of another issuer", func(_ *signintest.Provider, a url.Values) { a.Set("iss", "https://evil.example.com") }, signin.ErrAnswer},
		{"of an issuer that is another one by a slash", func(p *signintest.Provider, a url.Values) { a.Set("iss", p.URL+"/") }, signin.ErrAnswer},
		{"without the issuer that it is to name", func(_ *signintest.Provider, a url.Values) { a.Del("iss") }, signin.ErrAnswer},
		{"a refusal of another issuer", func(_ *signintest.Provider, a url.Values) {
			a.Set("iss", "https://evil.example.com")
			a.Set("error", "access_denied")
		}, signin.ErrAnswer},
		{"neither code nor error", func(_ *signintest.Provider, a url.Values) { a.Del("code") }, signin.ErrAnswer},
		{"two codes", func(_ *signintest.Provider, a url.Values) { a.Add("code", "x") }, signin.ErrUnknown},
		{"two states", func(_ *signintest.Provider, a url.Values) { a.Add("state", "x") }, signin.ErrUnknown},
		{"no state", func(_ *signintest.Provider, a url.Values) { a.Del("state") }, signin.ErrUnknown},
		{"cancelled by the person", func(_ *signintest.Provider, a url.Values) {
			a.Set("error", "access_denied")
			a.Set("error_description", signintest.Hostile)
		}, signin.ErrRefused},
		{"the provider is overloaded", func(_ *signintest.Provider, a url.Values) { a.Set("error", "temporarily_unavailable") }, signin.ErrUnavailable},
		{"an error of its own", func(_ *signintest.Provider, a url.Values) { a.Set("error", signintest.Hostile) }, signin.ErrAnswer},
		{"the client is not known", func(_ *signintest.Provider, a url.Values) { a.Set("error", "unauthorized_client") }, signin.ErrAnswer},
		{"the nonce of another flow", func(p *signintest.Provider, _ url.Values) { p.Nonce = "other" }, signin.ErrAnswer},
		{"no nonce", func(p *signintest.Provider, _ url.Values) { p.Claims = signintest.Object{"nonce": signintest.Absent} }, signin.ErrAnswer},
		{"a nonce that is no text", func(p *signintest.Provider, _ url.Values) { p.Claims = signintest.Object{"nonce": 1} }, signin.ErrAnswer},
		{"no ID token", func(p *signintest.Provider, _ url.Values) {
			p.Token = func(w http.ResponseWriter, _ *http.Request) {
				signintest.Write(w, signintest.Object{"access_token": "x", "token_type": "Bearer"})
			}
		}, signin.ErrAnswer},
		{"a secret that it does not take", func(p *signintest.Provider, _ url.Values) {
			p.Token = signintest.Refuse(401, signintest.Object{"error": "invalid_client", "error_description": signintest.Hostile})
		}, signin.ErrAnswer},
		{"a page", func(p *signintest.Provider, _ url.Values) { p.Token = signintest.Refuse(200, signintest.Hostile) }, signin.ErrAnswer},
		{"a refusal without a code", func(p *signintest.Provider, _ url.Values) { p.Token = signintest.Refuse(403, signintest.Hostile) }, signin.ErrAnswer},
		{"down by now", func(p *signintest.Provider, _ url.Values) { p.Token = signintest.Refuse(502, signintest.Hostile) }, signin.ErrUnavailable},
		{"an answer without end", func(p *signintest.Provider, _ url.Values) {
			p.Token = func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 2<<20)) }
		}, signin.ErrAnswer},
		{"a redirect to elsewhere", func(p *signintest.Provider, _ url.Values) {
			p.Token = func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "https://evil.example.com/token", http.StatusTemporaryRedirect)
			}
		}, signin.ErrUnavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newProvider(t)
			b := newBrowser(t, newClient(t, p, nil))
			answer := p.Authorize(b.begun("/orders"))
			test.change(p, answer)
			got, err := b.finish(answer)
			if !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			if strings.Contains(err.Error(), "script") || strings.Contains(err.Error(), "SECRET") || strings.Contains(err.Error(), "evil") {
				t.Errorf("the error repeats the provider: %v", err)
			}
			if got.ReturnTo != "" && (got.ReturnTo != "/orders" || b.cookies() != 0) {
				t.Errorf("the way back is %q, with %d cookies", got.ReturnTo, b.cookies())
			}
		})
	}
}

// ID tokens that are not for this client, not fresh, not the issuer's or none are refused as bearer
// tokens are.
func TestSignIn_IDTokensThatAreNotGood(t *testing.T) {
	t.Parallel()
	forger, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		claims signintest.Object
		change func(p *signintest.Provider)
		want   bearer.Reason
	}{
		{"for another client", signintest.Object{"aud": "other"}, nil, bearer.ReasonAudience},
		{"for the API", signintest.Object{"aud": "https://api.example.com"}, nil, bearer.ReasonAudience},
		{"for several, and issued to another", signintest.Object{"aud": []string{clientID, "other"}, "azp": "other"}, nil, bearer.ReasonAudience},
		{"for several, and nobody says to whom", signintest.Object{"aud": []string{clientID, "other"}}, nil, bearer.ReasonAudience},
		{"of another issuer", signintest.Object{"iss": "https://evil.example.com"}, nil, bearer.ReasonUnknownIssuer},
		{"expired", signintest.Object{"exp": noon.Unix() - 60}, nil, bearer.ReasonExpired},
		{"without an end", signintest.Object{"exp": signintest.Absent}, nil, bearer.ReasonNoExpiry},
		{"of the day before", signintest.Object{"iat": noon.Unix() - 86400}, nil, bearer.ReasonIDTokenAge},
		{"without the time", signintest.Object{"iat": signintest.Absent}, nil, bearer.ReasonIDTokenAge},
		{"of the future", signintest.Object{"iat": noon.Unix() + 3600}, nil, bearer.ReasonIssuedLater},
		{"without a subject", signintest.Object{"sub": signintest.Absent}, nil, bearer.ReasonSubject},
		{"a logout token", signintest.Object{"events": signintest.Object{"http://schemas.openid.net/event/backchannel-logout": signintest.Object{}}}, nil, bearer.ReasonKind},
		{"a refresh token", signintest.Object{"typ": "Refresh"}, nil, bearer.ReasonKind},
		{"signed by somebody else", nil, func(p *signintest.Provider) { p.Key = forger }, bearer.ReasonUnknownKey},
		{"unsigned", nil, func(p *signintest.Provider) {
			p.Token = func(w http.ResponseWriter, _ *http.Request) {
				signintest.Write(w, signintest.Object{"access_token": "x", "token_type": "Bearer", "id_token": "eyJhbGciOiJub25lIn0.e30."})
			}
		}, bearer.ReasonAlgorithm},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newProvider(t)
			b := newBrowser(t, newClient(t, p, nil))
			p.Claims = test.claims
			answer := p.Authorize(b.begun("/"))
			if test.change != nil {
				test.change(p)
			}
			_, err := b.finish(answer)
			wantRefused(t, err, test.want)
		})
	}
}
