package bearer

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"authsidecar/sessions/jose"
)

const (
	idp = "https://idp.example.com"
	app = "https://app.example.com/auth/sessions"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// object is a JSON object in the making.
type object = map[string]any

var keyOf = func() func(name string, alg jose.Algorithm) *jose.PrivateKey {
	var mu sync.Mutex
	keys := map[string]*jose.PrivateKey{}
	return func(name string, alg jose.Algorithm) *jose.PrivateKey {
		mu.Lock()
		defer mu.Unlock()
		name += string(alg)
		if keys[name] == nil {
			key, err := jose.Generate(alg)
			if err != nil {
				panic(err)
			}
			keys[name] = key
		}
		return keys[name]
	}
}()

// idpKey signs what the issuer of most tests issues.
func idpKey() *jose.PrivateKey { return keyOf("idp", jose.ES256) }

func static(t testing.TB, keys ...*jose.PrivateKey) *Static {
	t.Helper()
	public := make([]*jose.Key, len(keys))
	for i, key := range keys {
		public[i] = key.Public()
	}
	s, err := NewStatic(public...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// trust is an issuer as the tests configure it: no leeway, one hour at the most.
func trust(t testing.TB) Issuer {
	t.Helper()
	return Issuer{Name: idp, Keys: static(t, idpKey()), Audiences: []string{app}, MaxLifetime: time.Hour}
}

// newVerifier trusts the issuers; its clock stands at noon.
func newVerifier(t testing.TB, issuers ...Issuer) *Verifier {
	t.Helper()
	v, err := New(Config{Issuers: issuers, Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// header is the header of a token that the key signs.
func header(key *jose.PrivateKey, changes object) object {
	h := object{"alg": key.Algorithm(), "kid": key.ID(), "typ": "at+jwt"}
	return change(h, changes)
}

// claims are good ones at noon.
func claims(changes object) object {
	return change(object{
		"iss": idp, "aud": app, "sub": "alice", "client_id": "desk",
		"iat": noon.Unix() - 60, "exp": noon.Unix() + 600,
	}, changes)
}

// absent as a value takes a member out.
var absent = new(int)

func change(base, changes object) object {
	maps.Copy(base, changes)
	maps.DeleteFunc(base, func(_ string, v any) bool { return v == any(absent) })
	return base
}

// both are two lots of changes, of which the later counts.
func both(first, second object) object {
	all := maps.Clone(first)
	if all == nil {
		all = object{}
	}
	maps.Copy(all, second)
	return all
}

func sign(t testing.TB, key *jose.PrivateKey, header, claims object) string {
	t.Helper()
	return signRaw(t, key, encode(t, header), encode(t, claims))
}

func signRaw(t testing.TB, key *jose.PrivateKey, header, claims string) string {
	t.Helper()
	token, err := key.Sign([]byte(header), []byte(claims))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func encode(t testing.TB, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// token is a good one but for the changes to its claims.
func token(t testing.TB, changes object) string {
	t.Helper()
	return sign(t, idpKey(), header(idpKey(), nil), claims(changes))
}

// reasonOf says why an error refuses; "" for none.
func reasonOf(t testing.TB, err error) Reason {
	t.Helper()
	if err == nil {
		return ""
	}
	var refusal *Refusal
	if !errors.As(err, &refusal) {
		t.Fatalf("not a refusal: %v", err)
	}
	if refusal.Reason == "" {
		t.Fatal("a refusal without a reason")
	}
	return refusal.Reason
}

func expect(t *testing.T, v *Verifier, token string, want Reason) {
	t.Helper()
	_, err := v.Verify(t.Context(), token)
	if got := reasonOf(t, err); got != want {
		t.Errorf("refused for %q, want %q", got, want)
	}
	if got := reasonOf(t, v.Explain(t.Context(), token).Refused()); got != want {
		t.Errorf("explained as %q, want %q", got, want)
	}
}

// jwk is the public half as its owner publishes it.
func jwk(t testing.TB, key *jose.PrivateKey, changes object) object {
	t.Helper()
	data, err := key.Public().PublicJWK()
	if err != nil {
		t.Fatal(err)
	}
	var j object
	if err := json.Unmarshal(data, &j); err != nil {
		t.Fatal(err)
	}
	return change(j, changes)
}

func jwks(t testing.TB, keys ...any) string {
	t.Helper()
	if keys == nil {
		keys = []any{}
	}
	return encode(t, object{"keys": keys})
}

// run runs r until the test is over.
func run(t testing.TB, r interface{ Run(context.Context) }) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var over sync.WaitGroup
	over.Go(func() { r.Run(ctx) })
	stop = func() {
		cancel()
		over.Wait()
	}
	t.Cleanup(stop)
	return stop
}

// pass lets time go by in a bubble of synctest, and what was due happen.
func pass(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // the clock of the bubble
	synctest.Wait()
}

// cached is how many tokens the verifier remembers: all of them, or that they are good.
func cached(v *Verifier) (n int) {
	for i := range v.cache.shards {
		n += v.cache.shards[i].marks.n
	}
	return n
}

// purge makes the verifier forget all tokens.
func purge(v *Verifier) {
	for i := range v.cache.shards {
		s := &v.cache.shards[i]
		s.weight, s.whole, s.marks.n = 0, nil, 0
		clear(s.marks.at)
	}
}
