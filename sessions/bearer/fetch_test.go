package bearer

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"authsidecar/sessions/jose"
)

// serve starts a server on the loopback.
func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// fetchFrom asks the server for keys, once.
func fetchFrom(t *testing.T, c RemoteConfig) (*Remote, error) {
	t.Helper()
	r := newRemote(t, c)
	return r, fetchOnce(t, r)
}

func fetchOnce(t *testing.T, r *Remote) error {
	t.Helper()
	r.begin(false)
	r.refresh(t.Context())
	r.end()
	if r.err != nil && r.Status().Error != r.err.Error() {
		t.Errorf("status says %q", r.Status().Error)
	}
	return r.err
}

func TestJ1_HostileServersGiveNoKeys(t *testing.T) {
	good := published(t, idpKey())
	elsewhere := atomic.Int64{}
	other := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		elsewhere.Add(1)
		fmt.Fprint(w, good)
	})
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		ok     bool
	}{
		"good":               {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, good) }, true},
		"500 with good keys": {status(500, good), false},
		"203 with good keys": {status(203, good), false},
		"206 with good keys": {status(206, good), false},
		"401":                {status(401, good), false},
		"407":                {status(407, good), false},
		"redirect elsewhere": {redirect(other.URL + "/jwks.json"), false},
		"redirect to https":  {func(w http.ResponseWriter, r *http.Request) { redirect("https://"+r.Host+"/x")(w, r) }, false},
		"redirect to a file": {redirect("file:///etc/passwd"), false},
		"redirect to itself": {redirect("/jwks.json"), false},
		"redirect to a user": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/there" {
				fmt.Fprint(w, good)
				return
			}
			redirect("http://u:p@"+r.Host+"/there")(w, r)
		}, false},
		"3 redirects":         {hops(3, good), true},
		"4 redirects":         {hops(4, good), false},
		"100 keys":            {status(200, many(t, 100)), true},
		"501 keys":            {status(200, many(t, 501)), false},
		"hangs up":            {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, false},
		"hangs up in between": {hangUp(good), false},
		"huge headers": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Filler", strings.Repeat("x", 1<<20))
			fmt.Fprint(w, good)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			server := serve(t, test.answer)
			r, err := fetchFrom(t, RemoteConfig{URL: server.URL + "/jwks.json"})
			if (err == nil) != test.ok {
				t.Errorf("got %v", err)
			}
			if got := r.Version() != 0; got != test.ok {
				t.Errorf("keys were taken: %v", got)
			}
		})
	}
	if got := elsewhere.Load(); got != 0 {
		t.Errorf("%d requests went to another origin", got)
	}
}

func status(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		fmt.Fprint(w, body)
	}
}

func redirect(to string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusFound)
	}
}

// hops redirects n times before it answers.
func hops(n int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var at int
		_, _ = fmt.Sscanf(r.URL.Path, "/%d", &at)
		if at < n {
			redirect(fmt.Sprintf("/%d", at+1))(w, r)
			return
		}
		fmt.Fprint(w, body)
	}
}

func hangUp(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		fmt.Fprint(w, body[:len(body)/2])
		panic(http.ErrAbortHandler)
	}
}

func TestJ1_ABodyOf64MegabytesIsNotRead(t *testing.T) {
	for name, declared := range map[string]bool{"declared": true, "chunked": false} {
		t.Run(name, func(t *testing.T) {
			var written atomic.Int64
			server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				if declared {
					w.Header().Set("Content-Length", fmt.Sprint(64<<20))
				}
				chunk := []byte(strings.Repeat(" ", 64<<10))
				for range 1 << 10 {
					n, err := w.Write(chunk)
					if written.Add(int64(n)); err != nil {
						return
					}
				}
			})
			_, err := fetchFrom(t, RemoteConfig{URL: server.URL})
			if !errors.Is(err, errTooMuch) {
				t.Errorf("got %v", err)
			}
			server.Close() // waits for the handler
			if got := written.Load(); got > 32<<20 {
				t.Errorf("%d MiB were taken from the server", got>>20)
			}
		})
	}
}

func TestJ1_ASlowServerIsLeftAlone(t *testing.T) {
	good := published(t, idpKey())
	for name, drip := range map[string]func(w http.ResponseWriter, r *http.Request){
		"no answer": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"a byte at a time": func(w http.ResponseWriter, r *http.Request) {
			ticker := time.NewTicker(20 * time.Millisecond)
			defer ticker.Stop()
			for i := range len(good) {
				fmt.Fprint(w, good[i:i+1])
				_ = http.NewResponseController(w).Flush()
				select {
				case <-ticker.C:
				case <-r.Context().Done():
					return
				}
			}
		},
		"redirects that take their time": func(w http.ResponseWriter, r *http.Request) {
			timer := time.NewTimer(90 * time.Millisecond)
			defer timer.Stop()
			select {
			case <-timer.C:
				hops(3, good)(w, r)
			case <-r.Context().Done():
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := serve(t, drip)
			r := newRemote(t, RemoteConfig{URL: server.URL})
			r.timeout = 200 * time.Millisecond
			if err := fetchOnce(t, r); err == nil || r.Version() != 0 {
				t.Errorf("waited for it: %v", err)
			}
		})
	}
}

func TestJ1_NoCookiesNoCredentials(t *testing.T) {
	var last atomic.Pointer[http.Header]
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		last.Store(&r.Header)
		w.Header().Set("Set-Cookie", "session=x")
		fmt.Fprint(w, published(t, idpKey()))
	})
	r, err := fetchFrom(t, RemoteConfig{URL: server.URL})
	must(t, err)
	r.refresh(t.Context())
	must(t, r.err)
	h := *last.Load()
	for _, name := range []string{"Cookie", "Authorization", "Proxy-Authorization", "Accept-Encoding"} {
		if h.Values(name) != nil {
			t.Errorf("sent %s: %q", name, h.Values(name))
		}
	}
	if got := h.Get("Accept"); got != "application/jwk-set+json, application/json" {
		t.Errorf("accepts %q", got)
	}
}

func TestJ2_UnknownKeysAreLeftOut(t *testing.T) {
	server := serve(t, status(200, jwks(t,
		object{"kty": "AKP", "alg": "ML-DSA-44", "kid": "pq", "pub": "AAAA"},
		object{"kty": "EC", "crv": "secp256k1", "kid": "k1", "x": "AAAA", "y": "AAAA"},
		jwk(t, keyOf("other", jose.ES256), object{"alg": "ES999", "kid": "odd"}),
		jwk(t, keyOf("enc", jose.ES256), object{"use": "enc"}),
		jwk(t, idpKey(), nil),
	)))
	var entries book
	r, err := fetchFrom(t, RemoteConfig{URL: server.URL, Log: entries.logger()})
	must(t, err)
	if got := r.Status().Keys; len(got) != 1 || got[0].ID != idpKey().ID() {
		t.Errorf("took %+v", got)
	}
	if got := strings.Count(entries.String(), "key left out"); got != 4 {
		t.Errorf("%d keys were reported:\n%s", got, entries.String())
	}
}

func TestJ5_KeysThatAreNotForPublishingAreLeftOut(t *testing.T) {
	first, second := keyOf("first", jose.ES256), keyOf("second", jose.ES256)
	private, err := first.JWK()
	must(t, err)
	secret := object{"kty": "oct", "alg": "HS256", "kid": "secret", "k": strings.Repeat("c2VjcmV0", 8)}
	for name, test := range map[string]struct {
		keys   []any
		forged *jose.PrivateKey
	}{
		"one kid for two keys": {[]any{jwk(t, first, object{"kid": "x"}), jwk(t, second, object{"kid": "x"})}, nil},
		"a private key":        {[]any{json.RawMessage(private)}, first},
		"a secret":             {[]any{secret}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			server := serve(t, status(200, jwks(t, append(test.keys, jwk(t, idpKey(), nil))...)))
			var entries book
			r, err := fetchFrom(t, RemoteConfig{URL: server.URL, Log: entries.logger()})
			must(t, err)
			if got := r.Status().Keys; len(got) != 1 || got[0].ID != idpKey().ID() {
				t.Errorf("took %+v", got)
			}
			if got := strings.Count(entries.String(), "level=WARN"); got != len(test.keys) {
				t.Errorf("%d warnings:\n%s", got, entries.String())
			}
			for _, s := range []string{string(private), "c2VjcmV0"} {
				if strings.Contains(entries.String(), s) {
					t.Error("a key is in the log")
				}
			}
			if test.forged != nil && has(t, r, test.forged) {
				t.Error("a key that everybody has is used")
			}
		})
	}
}

func TestDiscovery_FindsTheKeysOfExactlyThisIssuer(t *testing.T) {
	const oidc, oauth = "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"
	for name, test := range map[string]struct {
		issuer string // after the server's URL
		at     string
		doc    string // %[1]s is the server's URL
		want   error
	}{
		"OpenID Connect":           {"", oidc, `{"issuer":"%[1]s","jwks_uri":"%[1]s/keys"}`, nil},
		"with a path":              {"/a/b", "/a/b" + oidc, `{"issuer":"%[1]s/a/b","jwks_uri":"%[1]s/keys"}`, nil},
		"with a slash":             {"/a/", "/a" + oidc, `{"issuer":"%[1]s/a/","jwks_uri":"%[1]s/keys"}`, nil},
		"with an escaped path":     {"/a%20b", "/a%20b" + oidc, `{"issuer":"%[1]s/a%%20b","jwks_uri":"%[1]s/keys"}`, nil},
		"RFC 8414":                 {"", oauth, `{"issuer":"%[1]s","jwks_uri":"%[1]s/keys"}`, nil},
		"RFC 8414 with a path":     {"/a/b", oauth + "/a/b", `{"issuer":"%[1]s/a/b","jwks_uri":"%[1]s/keys"}`, nil},
		"more than we know":        {"", oidc, `{"x":{"y":[{}]},"issuer":"%[1]s","jwks_uri":"%[1]s/keys"}`, nil},
		"nowhere":                  {"", "/", `{"issuer":"%[1]s","jwks_uri":"%[1]s/keys"}`, StatusError(404)},
		"another issuer":           {"", oidc, `{"issuer":"https://x","jwks_uri":"%[1]s/keys"}`, errOtherIssuer},
		"an issuer with a slash":   {"", oidc, `{"issuer":"%[1]s/","jwks_uri":"%[1]s/keys"}`, errOtherIssuer},
		"no issuer":                {"", oidc, `{"jwks_uri":"%[1]s/keys"}`, errOtherIssuer},
		"issuer in upper case":     {"", oidc, `{"ISSUER":"%[1]s","jwks_uri":"%[1]s/keys"}`, errOtherIssuer},
		"issuer twice":             {"", oidc, `{"issuer":"%[1]s","issuer":"%[1]s","jwks_uri":"%[1]s/keys"}`, errDiscovery},
		"issuer is a number":       {"", oidc, `{"issuer":7,"jwks_uri":"%[1]s/keys"}`, errDiscovery},
		"no keys":                  {"", oidc, `{"issuer":"%[1]s"}`, errURL},
		"keys without a host":      {"", oidc, `{"issuer":"%[1]s","jwks_uri":"/keys"}`, errURL},
		"keys over http elsewhere": {"", oidc, `{"issuer":"%[1]s","jwks_uri":"http://idp.example.com/keys"}`, errURL},
		"keys in a file":           {"", oidc, `{"issuer":"%[1]s","jwks_uri":"file:///keys"}`, errURL},
		"no document":              {"", oidc, `<html>`, errDiscovery},
		"trailing data":            {"", oidc, `{"issuer":"%[1]s","jwks_uri":"%[1]s/keys"} {}`, errDiscovery},
	} {
		t.Run(name, func(t *testing.T) {
			var server *httptest.Server
			server = serve(t, func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.EscapedPath() {
				case test.at:
					fmt.Fprintf(w, test.doc, server.URL)
				case "/keys":
					fmt.Fprint(w, published(t, idpKey()))
				default:
					w.WriteHeader(http.StatusNotFound)
				}
			})
			r, err := fetchFrom(t, RemoteConfig{Issuer: server.URL + test.issuer})
			if !errors.Is(err, test.want) || (r.Version() != 0) != (test.want == nil) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if keys, once := r.Fetch(t.Context()); (once == nil) != (err == nil) || len(keys) > 0 != (err == nil) || err != nil && !errors.Is(once, ErrDiscovery) {
				t.Errorf("asked once more: %d keys, %v", len(keys), once)
			}
			if other, ok := errors.AsType[*OtherIssuerError](err); ok && (other.Name == server.URL || other.Keys != server.URL+"/keys") {
				t.Errorf("the document is of %q, with keys at %q", other.Name, other.Keys)
			}
		})
	}
}

// A wire answers for each URL, and writes down what it was asked.
type wire struct {
	answers map[string]string
	asked   []string
}

func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	w.asked = append(w.asked, req.URL.String())
	rec := httptest.NewRecorder()
	if body, ok := w.answers[req.URL.String()]; ok {
		fmt.Fprint(rec, body)
	} else {
		rec.WriteHeader(http.StatusNotFound)
	}
	return rec.Result(), nil
}

// A discovery document makes nobody ask Caddy's admin endpoint, a cloud's metadata, or
// anything in plain HTTP for what was published with TLS.
func TestJ1_DiscoveryDoesNotLeadIntoThisMachine(t *testing.T) {
	const remote = "https://idp.example.com"
	for _, test := range []struct {
		issuer, keys string
		insecure, ok bool
	}{
		{issuer: remote, keys: "http://127.0.0.1:2019/config/"},
		{issuer: remote, keys: "http://127.0.0.1:2019/config/", insecure: true},
		{issuer: remote, keys: "http://localhost:2019/config/"},
		{issuer: remote, keys: "http://[::1]:2019/config/"},
		{issuer: remote, keys: "http://keys.example.com/", insecure: true},
		{issuer: remote, keys: "https://127.0.0.1/"},
		{issuer: remote, keys: "https://127.9.9.9/"},
		{issuer: remote, keys: "https://localhost/"},
		{issuer: remote, keys: "https://LOCALHOST./"},
		{issuer: remote, keys: "https://caddy.localhost/"},
		{issuer: remote, keys: "https://[::1]/"},
		{issuer: remote, keys: "https://[::ffff:127.0.0.1]/"},
		{issuer: remote, keys: "https://0.0.0.0/"},
		{issuer: remote, keys: "https://[::]/"},
		{issuer: remote, keys: "https://127.1/"},
		{issuer: remote, keys: "https://0177.0.0.1/"},
		{issuer: remote, keys: "https://0x7f.0.0.0x1/"},
		{issuer: remote, keys: "https://2130706433/"},
		{issuer: remote, keys: "https://169.254.169.254/latest/"},
		{issuer: remote, keys: "https://[fe80::1%25eth0]/"},
		{issuer: "http://idp.internal", keys: "http://127.0.0.1:2019/config/", insecure: true},
		{issuer: "http://idp.internal", keys: "http://169.254.169.254/latest/", insecure: true},
		{issuer: "https://localhost:8443", keys: "http://localhost:2019/config/"},

		{issuer: remote, keys: "https://keys.example.com/", ok: true},
		{issuer: remote, keys: "https://10.0.0.1:6443/openid/v1/jwks", ok: true},
		{issuer: remote, keys: "https://1.example/", ok: true},
		{issuer: "http://idp.internal", keys: "http://idp.internal/keys", insecure: true, ok: true},
		{issuer: "http://idp.internal", keys: "https://idp.internal/keys", insecure: true, ok: true},
		{issuer: "http://127.0.0.1:8081", keys: "http://localhost:8081/keys", ok: true},
		{issuer: "http://localhost:8081", keys: "https://idp.example.com/keys", ok: true},
		{issuer: "https://localhost:8443", keys: "https://127.0.0.1:8443/keys", ok: true},
	} {
		t.Run(fmt.Sprint(test.issuer, " to ", test.keys, " ", test.insecure), func(t *testing.T) {
			w := &wire{answers: map[string]string{
				test.issuer + "/.well-known/openid-configuration": encode(t, object{"issuer": test.issuer, "jwks_uri": test.keys}),
				test.keys: published(t, idpKey()),
			}}
			r, err := fetchFrom(t, RemoteConfig{Issuer: test.issuer, InsecureHTTP: test.insecure, Transport: w})
			if test.ok {
				must(t, err)
				return
			}
			if !errors.Is(err, errDiscovered) || r.Version() != 0 || len(w.asked) != 1 {
				t.Errorf("got %v, and asked for %q", err, w.asked)
			}
		})
	}
}

func TestRemote_OverHTTPS(t *testing.T) {
	server := httptest.NewUnstartedServer(status(200, published(t, idpKey())))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // we hang up on it
	server.StartTLS()
	defer server.Close()
	if _, err := fetchFrom(t, RemoteConfig{URL: server.URL}); err == nil {
		t.Error("a certificate of nobody: accepted")
	}
	_, err := fetchFrom(t, RemoteConfig{URL: server.URL, Transport: server.Client().Transport})
	must(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	_, err = fetchFrom(t, RemoteConfig{URL: server.URL, RootCAs: roots})
	must(t, err)
	if _, err := fetchFrom(t, RemoteConfig{URL: server.URL, RootCAs: x509.NewCertPool()}); err == nil {
		t.Error("a certificate of nobody that is believed: accepted")
	}
}

// A key server that asks for a token gets it, read anew each time; no other server does.
func TestJ1_ATokenForTheURLOfTheKeysAlone(t *testing.T) {
	const secret = "s3cret-token"
	sent := ""
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+sent {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, published(t, idpKey()))
	})
	reads := 0
	token := func() (string, error) { // as of a file that is replaced
		reads++
		sent = fmt.Sprint(secret, reads)
		return sent, nil
	}
	r, err := fetchFrom(t, RemoteConfig{URL: server.URL, Token: token})
	must(t, err)
	r.refresh(t.Context())
	must(t, r.err)
	if reads != 2 {
		t.Errorf("it was read %d times", reads)
	}

	for name, token := range map[string]func() (string, error){
		"that cannot be read": func() (string, error) { return "", errors.New(secret) },
		"that is empty":       func() (string, error) { return "", nil },
		"that is two lines":   func() (string, error) { return secret + "\r\nX-Other: 1", nil },
	} {
		r, err := fetchFrom(t, RemoteConfig{URL: server.URL, Token: token})
		if !errors.Is(err, errToken) || strings.Contains(r.Status().Error, secret) {
			t.Errorf("a token %s: %v", name, err)
		}
	}
	if _, err := NewRemote(RemoteConfig{Issuer: server.URL, Token: token}); err == nil {
		t.Error("a token for whoever a discovery document names: accepted")
	}
	elsewhere := serve(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%q went elsewhere", r.Header["Authorization"]) })
	for _, to := range []string{elsewhere.URL, "/elsewhere"} {
		leads := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/elsewhere" {
				t.Errorf("%q went elsewhere", r.Header["Authorization"])
			}
			redirect(to)(w, r)
		})
		if _, err := fetchFrom(t, RemoteConfig{URL: leads.URL, Token: func() (string, error) { return secret, nil }}); !errors.Is(err, errRedirect) {
			t.Errorf("%v", err)
		}
	}
}

// Keys are asked for again when the server says so, between five minutes and an hour from now.
func TestFreshness_OfKeysIsWhatTheServerSaysWithinBounds(t *testing.T) {
	for said, want := range map[string]time.Duration{
		"": 15 * time.Minute, "max-age=600": 10 * time.Minute, "no-store": 5 * time.Minute, "max-age=1": 5 * time.Minute, "max-age=86400": time.Hour, "max-age=x": 15 * time.Minute,
	} {
		if got := freshness(http.Header{"Cache-Control": {said}}); got != want {
			t.Errorf("%q: %s, want %s", said, got, want)
		}
	}
}
