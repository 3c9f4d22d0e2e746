package oauthapi

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"authsidecar/sessions/bearer"
	"authsidecar/sessions/jose"
)

// Covers O2.
func TestClient_EachWayToAuthenticateWorks(t *testing.T) {
	f := newFixture(t)
	token := f.gatewaySession().text("access_token")
	f.want(f.postBasic("/introspect", "gateway", secret, "token", token), 200, "")
	f.want(f.postBasic("/introspect", "gateway", secret, "token", token, "client_id", "gateway"), 200, "") // as many libraries send it
	f.want(f.post("/introspect", "client_id", "gateway", "client_secret", secret, "token", token), 200, "")
	f.want(f.post("/introspect", "client_assertion_type", assertionType, "client_assertion", f.assertion(nil), "token", token), 200, "")
	f.want(f.post("/introspect", "client_id", "robot", "client_assertion_type", assertionType, "client_assertion", f.assertion(nil), "token", token), 200, "")
	f.want(f.post("/revoke", "client_id", "app", "token", "x"), 200, "")
	f.want(f.postBasic("/revoke", "app", "", "token", "x"), 200, "") // RFC 6749 section 2.3.1: the secret is the empty string
	f.want(f.post("/revoke", "client_id", "app", "client_secret", "", "token", "x"), 200, "")
}

// Covers O2.
func TestClient_TwoMethodsAtOnceAreRefused(t *testing.T) {
	f := newFixture(t)
	with := func(header string, params ...string) answer {
		r := formRequest("/oauth/revoke", pairs(append(params, "token", "x")...).Encode())
		if header != "" {
			r.Header.Set("Authorization", header)
		}
		return f.send(r)
	}
	good := basic("gateway", secret)
	f.want(with(good, "client_id", "gateway", "client_secret", secret), 400, "invalid_request")
	f.want(with(good, "client_assertion_type", assertionType, "client_assertion", f.assertion(nil)), 400, "invalid_request")
	f.want(with("", "client_id", "gateway", "client_secret", secret, "client_assertion_type", assertionType, "client_assertion", f.assertion(nil)), 400, "invalid_request")
	f.want(with("", "client_id", "robot", "client_secret", secret, "client_assertion_type", assertionType, "client_assertion", f.assertion(nil)), 400, "invalid_request")
	f.want(with("", "client_secret", secret, "client_assertion_type", assertionType, "client_assertion", f.assertion(nil)), 400, "invalid_request")
	f.want(with(good, "client_id", "app"), 400, "invalid_request")
	f.want(with("", "client_id", "app", "client_assertion_type", assertionType, "client_assertion", f.assertion(nil)), 400, "invalid_request")
	r := formRequest("/oauth/revoke", "token=x")
	r.Header["Authorization"] = []string{good, good}
	f.want(f.send(r), 400, "invalid_request")
	if f.store.calls != 0 {
		t.Error("the store was asked")
	}
}

// Who fails to authenticate gets the same answer whatever is wrong, and nothing is looked up: neither
// is it known which clients there are. The work is one hash in all cases: of a client that is not
// known, and of a public one, there is a secret that nobody has.
//
// Covers O2.
func TestClient_AnUnknownOneIsRefusedAsAWrongSecretIs(t *testing.T) {
	f := newFixture(t)
	wrong := strings.Repeat("x", MinSecret)
	refused := []answer{
		f.postBasic("/token", "gateway", wrong, "grant_type", "refresh_token", "refresh_token", "x"),
		f.postBasic("/token", "nobody", wrong, "grant_type", "refresh_token", "refresh_token", "x"),
		f.postBasic("/token", "app", wrong, "grant_type", "refresh_token", "refresh_token", "x"),
		f.postBasic("/token", "robot", wrong, "grant_type", "refresh_token", "refresh_token", "x"),
		f.postBasic("/token", "gateway", "", "grant_type", "refresh_token", "refresh_token", "x"),
		f.postBasic("/token", "gateway", secret+"x", "grant_type", "refresh_token", "refresh_token", "x"),
		f.postBasic("/token", "gateway", strings.Repeat("x", MaxSecret+1), "grant_type", "refresh_token", "refresh_token", "x"),
	}
	for i, got := range refused {
		f.want(got, 401, "invalid_client")
		if got.body != refused[0].body || !reflect.DeepEqual(got.header, refused[0].header) {
			t.Errorf("%d: %s %v, want %s %v", i, got.body, got.header, refused[0].body, refused[0].header)
		}
		if got.header.Get("WWW-Authenticate") != `Basic realm="oauth", charset="UTF-8"` {
			t.Errorf("challenge %q", got.header.Get("WWW-Authenticate"))
		}
	}
	for _, id := range []string{"nobody", "gateway", "app"} {
		if secrets := f.api.clients.find(id).Secrets; len(secrets) == 0 {
			t.Errorf("%s has no secret to compare with", id)
		}
	}
	for _, params := range [][]string{{"client_id", "nobody"}, {"client_id", "gateway"}, {"client_id", ""}, {}, {"client_id", "gateway", "client_secret", wrong}, {"client_secret", secret}, {"client_id", "GATEWAY", "client_secret", secret}} {
		got := f.post("/token", append(params, "grant_type", "refresh_token", "refresh_token", "x")...)
		f.want(got, 401, "invalid_client")
		if got.header.Get("WWW-Authenticate") != "" {
			t.Errorf("%v: a challenge for a header that nobody sent", params)
		}
	}
	if f.store.calls != 0 {
		t.Error("the store was asked")
	}
}

func TestClient_ASecretThatIsShortIsNone(t *testing.T) {
	short := strings.Repeat("x", MinSecret-1)
	c := Client{Secrets: [][sha256.Size]byte{sha256.Sum256([]byte(short)), sha256.Sum256(nil)}}
	if c.owns(short) || c.owns("") {
		t.Error("a weak secret is good by its hash")
	}
	for _, s := range []string{"", short, strings.Repeat("x", MaxSecret+1)} {
		if _, err := HashSecret(s); err == nil {
			t.Errorf("%d bytes are hashed", len(s))
		}
	}
}

// Covers O2.
func TestClient_BasicIsFormDecoded(t *testing.T) {
	encode := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	for field, want := range map[string][2]string{
		encode("gateway:s"):               {"gateway", "s"},
		"basic   " + encode("a:b")[6:]:    {"a", "b"},
		encode("a%3Ab:c%3Ad"):             {"a:b", "c:d"},
		encode("a:c:d"):                   {"a", "c:d"},
		encode("a+b:c+d"):                 {"a b", "c d"},
		encode("a%2Bb:%25%20%C3%BC"):      {"a+b", "% \u00fc"},
		encode("\u00fc:\u00fc"):           {"\u00fc", "\u00fc"},
		encode("app:"):                    {"app", ""},
		encode("%67ateway:%73"):           {"gateway", "s"},
		basic("a b:c", "x:y z+%&=\u00e9"): {"a b:c", "x:y z+%&=\u00e9"},
	} {
		if id, password, ok := parseBasic(field); !ok || id != want[0] || password != want[1] {
			t.Errorf("%s: %q %q %t, want %q", field, id, password, ok, want)
		}
	}
	for _, field := range []string{
		"", "Basic", "Basic ", "Bearer " + encode("a:b")[6:], "Basic:" + encode("a:b")[6:], encode("gateway"), encode(":s"), encode("%zz:s"), encode("a:%f"), encode("a:%ff"), encode("\xff:s"), encode("a:\xc3"), encode("\xc3:\xa9"),
		encode("a:bc")[:9], encode("a:b") + " x", encode("a:b") + "=", encode("aa:b")[:10] + "\r\n" + encode("aa:b")[10:], "Basic " + base64.RawStdEncoding.EncodeToString([]byte("aa:b")) + "*", "Basic YTpi, Basic YTpi", "Basic YTp=",
	} {
		if id, password, ok := parseBasic(field); ok {
			t.Errorf("%q is read as %q %q", field, id, password)
		}
	}
}

// FuzzBasic holds what is read against the library.
func FuzzBasic(f *testing.F) {
	for _, seed := range []string{"Basic YTpi", "basic  YTpiOmM=", "Basic YSUzQTpi", "Bearer x", "Basic", "Basic YQ==", "Basic /zp/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, field string) {
		id, password, ok := parseBasic(field)
		if !ok {
			return
		}
		r := httptest.NewRequest("POST", "/", nil)
		scheme, rest, _ := strings.Cut(field, " ")
		r.Header.Set("Authorization", scheme+" "+strings.TrimLeft(rest, " "))
		user, pass, known := r.BasicAuth()
		user, err := url.QueryUnescape(user)
		pass, err2 := url.QueryUnescape(pass)
		if !known || err != nil || err2 != nil || user != id || pass != password || id == "" {
			t.Errorf("%q: %q %q, the library reads %q %q %t", field, id, password, user, pass, known)
		}
	})
}

// FuzzForm holds what is read against the library.
func FuzzForm(f *testing.F) {
	for _, seed := range []string{"", "a=1&b=2", "a=1&a=2", "a", "=", "&&", "a=%41+b", "a=%zz", "a=\xff", "resource=x&resource=y", "a;b=1", "%61=1&a=2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		got, err := parseForm(body)
		want, wrong := url.ParseQuery(body)
		if err != nil {
			return
		}
		if wrong != nil && !strings.Contains(body, ";") { // which the library takes for a mistake
			t.Fatalf("%q is read, and not by the library: %v", body, wrong)
		}
		if wrong != nil {
			return
		}
		for name, values := range want {
			if len(values) > 1 && name != "resource" && name != "audience" {
				t.Fatalf("%q: %s is there twice", body, name)
			}
			if got.Get(name) != values[0] && len(values) == 1 {
				t.Fatalf("%q: %s is %q, want %q", body, name, got.Get(name), values[0])
			}
		}
		if len(want) != len(got) {
			t.Fatalf("%q: %d parameters, want %d", body, len(got), len(want))
		}
	})
}

// Covers O2.
func TestAssertion_IsOfTheClientAboutItselfAndForUs(t *testing.T) {
	f := newFixture(t)
	other := newKey(t, jose.ES256)
	ask := func(assertion string) answer {
		return f.post("/revoke", "client_assertion_type", assertionType, "client_assertion", assertion, "token", "x")
	}
	for _, good := range []map[string]any{nil, {"aud": issuer + "/oauth/token"}, {"aud": []string{issuer}}, {"aud": issuer + "/oauth/revoke"}, {"iat": f.now.Unix(), "nbf": f.now.Unix()}, {"exp": f.now.Add(time.Hour).Unix()}} {
		f.want(ask(f.assertion(good)), 200, "")
	}
	usual := map[string]any{"iss": "robot", "sub": "robot", "aud": issuer, "jti": "other", "exp": f.now.Add(time.Minute).Unix()}
	for name, bad := range map[string]string{
		"by another key":               f.sign(other, usual, nil),
		"about another":                f.assertion(map[string]any{"sub": "gateway"}),
		"of a client without keys":     f.assertion(map[string]any{"iss": "gateway", "sub": "gateway"}),
		"of nobody":                    f.assertion(map[string]any{"iss": "nobody", "sub": "nobody"}),
		"for somebody else":            f.assertion(map[string]any{"aud": trusted}),
		"for somebody else too":        f.assertion(map[string]any{"aud": []string{issuer, trusted}}),
		"for the endpoint of sessions": f.assertion(map[string]any{"aud": callers}),
		"for nobody":                   f.assertion(map[string]any{"aud": nil}),
		"with an empty id":             f.assertion(map[string]any{"jti": ""}),
		"with an id that is no text":   f.assertion(map[string]any{"jti": 1}),
		"without an end":               f.assertion(map[string]any{"exp": nil}),
		"that is over":                 f.assertion(map[string]any{"exp": f.now.Add(-time.Minute).Unix()}),
		"that is good for long":        f.assertion(map[string]any{"exp": f.now.Add(2 * time.Hour).Unix()}),
		"of later":                     f.assertion(map[string]any{"nbf": f.now.Add(time.Minute).Unix()}),
		"that acts":                    f.assertion(map[string]any{"act": map[string]string{"sub": "x", "iss": "y"}}),
		"of the identity provider":     f.token("robot", map[string]any{"aud": issuer, "jti": "x"}),
		"that is an access token":      f.session().text("access_token"),
		"that is none":                 "x",
	} {
		f.api.Memory.limit = newLimiter()
		if got := ask(bad); got.status != 401 || got.text("error") != "invalid_client" {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	f.want(f.post("/revoke", "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer", "client_assertion", f.assertion(nil), "token", "x"), 401, "invalid_client")
	f.want(f.post("/revoke", "client_assertion", f.assertion(nil), "token", "x"), 401, "invalid_client")
}

func TestAssertion_IsGoodOnce(t *testing.T) {
	f := newFixture(t)
	ask := func(assertion string) answer {
		return f.post("/revoke", "client_assertion_type", assertionType, "client_assertion", assertion, "token", "x")
	}
	first := f.assertion(map[string]any{"jti": "1"})
	f.want(ask(first), 200, "")
	f.want(ask(first), 401, "invalid_client")
	f.want(ask(f.assertion(map[string]any{"jti": "1", "exp": f.now.Add(2 * time.Minute).Unix()})), 401, "invalid_client") // the id counts, not the bytes
	f.want(ask(f.assertion(map[string]any{"jti": "2"})), 200, "")
	f.now = f.now.Add(time.Minute + assertionLeeway)
	f.want(ask(f.assertion(map[string]any{"jti": "2"})), 401, "invalid_client") // until it is over, to the second
	f.now = f.now.Add(2 * time.Second)
	f.want(ask(f.assertion(map[string]any{"jti": "2"})), 200, "")
	f.want(ask(first), 401, "invalid_client")
}

// RFC 7523 section 3 asks for no jti, and there are libraries that send none.
func TestAssertion_WithoutAnIDIsGoodOnceToo(t *testing.T) {
	f := newFixture(t)
	ask := func(assertion string) answer {
		return f.post("/revoke", "client_assertion_type", assertionType, "client_assertion", assertion, "token", "x")
	}
	first := f.assertion(map[string]any{"jti": nil})
	f.want(ask(first), 200, "")
	f.want(ask(first), 401, "invalid_client")
	f.want(ask(f.assertion(map[string]any{"jti": nil})), 401, "invalid_client") // another signature of the same
	f.want(ask(f.assertion(map[string]any{"jti": nil, "exp": f.now.Add(2 * time.Minute).Unix()})), 200, "")
}

func TestReplays_AreForgottenWhenTheyAreOverAndRefusedWhenTheyAreTooMany(t *testing.T) {
	now := time.Unix(1000, 0)
	r := new(replays)
	for i := range maxReplays {
		if fresh, full := r.add(strconv.Itoa(i), now.Add(time.Duration(1+i%3)*time.Minute), now); !fresh || full {
			t.Fatalf("%d: %t %t", i, fresh, full)
		}
	}
	for range 3 {
		if fresh, full := r.add("one more", now.Add(time.Minute), now); fresh || !full {
			t.Errorf("one more: fresh %t, full %t", fresh, full)
		}
	}
	if fresh, full := r.add("0", now.Add(2*time.Minute), now); fresh || full { // which ends at another time than before
		t.Errorf("one that was used: fresh %t, full %t", fresh, full)
	}
	if fresh, _ := r.add("0", now.Add(2*time.Minute), now.Add(time.Minute)); fresh {
		t.Error("one that is not over was forgotten")
	}
	now = now.Add(time.Minute + replayBlock*time.Second)
	for i := range 4 {
		if fresh, full := r.add(strconv.Itoa(3*i), now.Add(time.Minute), now); !fresh || full { // the same again
			t.Errorf("%d, when those of the first minute are over: %t %t", 3*i, fresh, full)
		}
		if fresh, _ := r.add(strconv.Itoa(3*i+1), now.Add(time.Minute), now); fresh {
			t.Errorf("%d, which is not over, was forgotten", 3*i+1)
		}
	}
	now = now.Add(time.Hour)
	r.add("last", now.Add(time.Minute), now)
	if len(r.seen) != 1 {
		t.Errorf("%d blocks are remembered, and one is not over", len(r.seen))
	}
}

// Of two requests with one assertion, the second may be verified just before it expires, and get here
// when it was forgotten that the first used it.
func TestReplays_OneThatIsOverWhenItIsRememberedIsNotFresh(t *testing.T) {
	end := time.Unix(1000, 0)
	r := new(replays)
	if fresh, full := r.add("a", end, end); !fresh || full {
		t.Errorf("the first: fresh %t, full %t", fresh, full)
	}
	if fresh, full := r.add("a", end, end.Add(2*replayBlock*time.Second)); fresh || full {
		t.Errorf("the second: fresh %t, full %t", fresh, full)
	}
}

func TestNew_AClientIsOneKindAndThereOnce(t *testing.T) {
	keys := static(t, newKey(t, jose.ES256))
	for name, list := range map[string][]Client{
		"of no kind":   {{ID: "a"}},
		"of two kinds": {{ID: "a", Public: true, Keys: keys}},
		"of two more":  {{ID: "a", Secrets: make([][32]byte, 1), Keys: keys}},
		"of no name":   {{Public: true}},
		"of a bad one": {{ID: "a\nb", Public: true}},
		"there twice":  {{ID: "a", Public: true}, {ID: "a", Public: true}},
	} {
		if _, err := New(Config{Issuer: issuer, Path: "/oauth", Clients: list}); err == nil {
			t.Errorf("a client %s is taken", name)
		}
	}
	if _, err := New(Config{Issuer: "x", Path: "/oauth"}); err == nil {
		t.Error("an issuer that is no URL is taken")
	}
	var _ bearer.KeySource = keys
}

// A client that has the name of a user is no user, and a user of its name no client.
//
// Covers O13.
func TestClient_OneNamedLikeAUserIsNotThatUser(t *testing.T) {
	f := newFixture(t)
	// The client alice, who is public and so anybody, gets nothing of the user alice: neither by its
	// name, nor by an assertion, which is no token of a caller.
	for _, params := range [][]string{
		{"grant_type", "client_credentials"},
		{"grant_type", grantExchange, "subject_token", "alice", "subject_token_type", TokenTypeUserID},
		{"grant_type", grantExchange, "subject_token", "alice", "subject_token_type", TokenTypeUserID, "actor_token", f.assertion(nil), "actor_token_type", tokenTypeJWT},
		{"grant_type", grantExchange, "subject_token", f.sign(f.robot, map[string]any{"iss": "alice", "sub": "alice", "aud": callers, "exp": f.now.Add(time.Minute).Unix()}, nil), "subject_token_type", tokenTypeJWT},
		// A machine's own token, of a client that is called as a user is.
		{"grant_type", grantExchange, "subject_token", f.token("alice", map[string]any{"client_id": "alice"}), "subject_token_type", tokenTypeJWT},
		{"grant_type", grantExchange, "subject_token", f.token("alice", map[string]any{"client_id": "alice", "scope": "act"}), "subject_token_type", tokenTypeJWT},
	} {
		if got := f.post("/token", append([]string{"client_id", "alice"}, params...)...); got.status != 400 {
			t.Errorf("%v: %d %s", params, got.status, got.body)
		}
	}
	if f.store.calls != 0 {
		t.Error("there is a session")
	}
	// The session of the user bob by the client alice is bob's.
	got := f.post("/token", "client_id", "alice", "grant_type", grantExchange, "subject_token", f.token("bob", nil), "subject_token_type", tokenTypeJWT)
	f.want(got, 200, "")
	if claims := f.claims(got.text("access_token")); claims["sub"] != "bob" || claims["client_id"] != "alice" {
		t.Errorf("%v", claims)
	}
}
