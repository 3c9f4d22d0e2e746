package bearer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/jose"
)

// movable is a source whose keys and version a test sets.
type movable struct {
	keys    atomic.Pointer[Static]
	version atomic.Uint64
	fail    atomic.Pointer[error]
}

func (m *movable) set(s *Static) {
	m.keys.Store(s)
	m.version.Add(1)
}

func (m *movable) Key(ctx context.Context, kid string, alg jose.Algorithm) (*jose.Key, error) {
	if err := m.fail.Load(); err != nil {
		return nil, *err
	}
	return m.keys.Load().Key(ctx, kid, alg)
}

func (m *movable) Version() uint64 { return m.version.Load() }

func TestCache_VerifiesATokenOnce(t *testing.T) {
	eachCache(t, func(t *testing.T, prepare func(*Verifier)) {
		v := newVerifier(t, trust(t))
		prepare(v)
		good := token(t, nil)
		for range 5 {
			expect(t, v, good, "")
		}
		if got, want := v.Stats(), (Stats{Hits: 4, Misses: 1, Checks: 1}); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	})
}

func TestCache_ForgetsATokenAtItsEnd(t *testing.T) {
	eachCache(t, func(t *testing.T, prepare func(*Verifier)) {
		now := noon
		i := trust(t)
		i.Leeway = 30 * time.Second
		v, err := New(Config{Issuers: []Issuer{i}, Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		prepare(v)
		good := token(t, object{"exp": noon.Unix() + 60})
		for _, step := range []struct {
			after time.Duration
			want  Reason
		}{{0, ""}, {60 * time.Second, ""}, {90*time.Second - 1, ""}, {90 * time.Second, ReasonExpired}, {time.Hour, ReasonExpired}} {
			now = noon.Add(step.after)
			if _, err := v.Verify(t.Context(), good); reasonOf(t, err) != step.want {
				t.Errorf("after %v: %v, want %q", step.after, err, step.want)
			}
		}
		if got := v.Stats().Hits; got != 2 {
			t.Errorf("%d hits, want 2", got)
		}
	})
}

func TestCache_ForgetsTokensWhenKeysChange(t *testing.T) {
	eachCache(t, func(t *testing.T, prepare func(*Verifier)) {
		source := &movable{}
		source.set(static(t, idpKey()))
		i := trust(t)
		i.Keys = source
		v := newVerifier(t, i)
		prepare(v)
		good := token(t, nil)
		expect(t, v, good, "")
		expect(t, v, good, "")

		source.set(static(t, keyOf("next", jose.ES256), keyOf("other", jose.ES256)))
		expect(t, v, good, ReasonUnknownKey)
		source.set(static(t, idpKey()))
		expect(t, v, good, "")
		if got := v.Stats(); got.Hits != 1 || got.Checks != 2 {
			t.Errorf("%+v, want 1 hit and 2 checks", got)
		}
	})
}

// A key that goes while the token is being verified must not be remembered
// under the version that is without it.
func TestCache_KeysThatChangeMeanwhile(t *testing.T) {
	eachCache(t, func(t *testing.T, prepare func(*Verifier)) {
		source := &movable{}
		source.set(static(t, idpKey()))
		i := trust(t)
		i.Keys = meanwhile{source, func() { source.set(static(t, keyOf("next", jose.ES256))) }}
		v := newVerifier(t, i)
		prepare(v)
		good := token(t, nil)
		_, err := v.Verify(t.Context(), good)
		must(t, err)
		expect(t, v, good, ReasonUnknownKey)
	})
}

type meanwhile struct {
	*movable
	then func()
}

func (m meanwhile) Key(ctx context.Context, kid string, alg jose.Algorithm) (*jose.Key, error) {
	defer m.then()
	return m.movable.Key(ctx, kid, alg)
}

// together is a source that answers when so many have asked.
type together struct {
	*Static
	all *sync.WaitGroup
}

func (s together) Key(ctx context.Context, kid string, alg jose.Algorithm) (*jose.Key, error) {
	s.all.Done()
	s.all.Wait()
	return s.Static.Key(ctx, kid, alg)
}

func TestCache_WhoPresentsATokenAtOnceSharesTheCaller(t *testing.T) {
	const askers = 20
	i := trust(t)
	source := together{static(t, idpKey()), new(sync.WaitGroup)}
	source.all.Add(askers)
	i.Keys = source
	v := newVerifier(t, i)
	same := token(t, nil)
	var group sync.WaitGroup
	var callers sync.Map
	for range askers {
		group.Go(func() {
			got, err := v.Verify(t.Context(), same)
			if err != nil {
				t.Error(err)
				return
			}
			callers.Store(got, true)
		})
	}
	group.Wait()
	if got, err := v.Verify(t.Context(), same); err != nil {
		t.Error(err)
	} else {
		callers.Store(got, true)
	}
	different := 0
	callers.Range(func(any, any) bool { different++; return true })
	if different != 1 {
		t.Errorf("%d callers of one token", different)
	}
}

func TestCache_RemembersNoRefusal(t *testing.T) {
	now := noon
	v, err := New(Config{Issuers: []Issuer{trust(t)}, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	later := token(t, object{"nbf": noon.Unix() + 10})
	expect(t, v, later, ReasonNotYet)
	expect(t, v, later, ReasonNotYet)
	now = noon.Add(10 * time.Second)
	expect(t, v, later, "")
	if got := cached(v); got != 1 {
		t.Errorf("%d tokens are remembered", got)
	}
}

func TestCache_IsSafeForConcurrentUse(t *testing.T) {
	eachCache(t, func(t *testing.T, prepare func(*Verifier)) {
		v := newVerifier(t, trust(t))
		prepare(v)
		good, bad := token(t, nil), token(t, object{"aud": "x"})
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				for range 50 {
					if _, err := v.Verify(t.Context(), good); err != nil {
						t.Error(err)
					}
					if _, err := v.Verify(t.Context(), bad); err == nil {
						t.Error("accepted")
					}
				}
			})
		}
		all.Wait()
	})
}

func TestVerify_WarmAllocatesOnceAtMost(t *testing.T) {
	v := newVerifier(t, trust(t))
	good := token(t, object{"padding": strings.Repeat("x", 200)})
	if got := testing.AllocsPerRun(100, func() {
		if _, err := v.Verify(t.Context(), good); err != nil {
			t.Error(err)
		}
	}); got > 1 {
		t.Errorf("%v allocations", got)
	}
}

func TestVerify_WithoutKeysNobodyCanTell(t *testing.T) {
	source := &movable{}
	source.set(static(t, idpKey()))
	i := trust(t)
	i.Keys = source
	v := newVerifier(t, i)
	for _, cause := range []error{ErrKeysUnavailable, fmt.Errorf("x: %w", ErrKeysUnavailable), context.Canceled, errors.New("disk")} {
		source.fail.Store(&cause)
		_, err := v.Verify(t.Context(), token(t, nil))
		var refusal *Refusal
		if !errors.Is(err, ErrKeysUnavailable) || errors.As(err, &refusal) {
			t.Errorf("%v: got %v", cause, err)
		}
	}
}

// A token of another issuer is refused whether it is remembered or not, and whether its
// issuer has keys or not: nobody asks.
func TestVerifyOwn_KnowsNobodyElse(t *testing.T) {
	eachCache(t, func(t *testing.T, prepare func(*Verifier)) {
		source := &movable{}
		source.set(static(t, idpKey()))
		other, own := trust(t), trust(t)
		other.Keys = source
		own.Name, own.Own = "https://app.example.com", true
		v := newVerifier(t, other, own)
		prepare(v)
		ours := token(t, object{"iss": own.Name, "sid": "s1", "sid_iat": 1500})
		refused := func(when string) {
			t.Helper()
			if _, err := v.VerifyOwn(t.Context(), token(t, nil)); reasonOf(t, err) != ReasonUnknownIssuer {
				t.Errorf("%s: %v", when, err)
			}
		}
		refused("never seen")
		if _, err := v.Verify(t.Context(), token(t, nil)); err != nil {
			t.Fatal(err)
		}
		refused("remembered")
		down := ErrKeysUnavailable
		source.fail.Store(&down)
		refused("without keys")
		for range 2 {
			if got, err := v.VerifyOwn(t.Context(), ours); err != nil || !got.Own {
				t.Errorf("our own: %v", err)
			}
		}
		if stats := v.Stats(); stats.Checks != 2 {
			t.Errorf("%d signature checks, want one of each issuer", stats.Checks)
		}
	})
}

// Our own tokens are of the store's clock, those of others of this node's, whichever of the
// two is wrong; remembered ones too.
func TestS6_OurOwnTokensAreVerifiedByTheClockOfTheStore(t *testing.T) {
	for _, off := range []time.Duration{-time.Hour, -2500 * time.Millisecond, 0, 2500 * time.Millisecond, time.Hour} {
		node, store := noon, noon
		other, own := trust(t), trust(t)
		own.Name, own.Own, own.Now = "https://app.example.com", true, func() time.Time { return store }
		v, err := New(Config{Issuers: []Issuer{other, own}, Now: func() time.Time { return node }})
		if err != nil {
			t.Fatal(err)
		}
		theirs := token(t, nil)
		ours := token(t, object{"iss": own.Name, "sid": "s1", "sid_iat": 1500, "iat": noon.Unix()})
		for _, step := range []struct {
			what, token string
			clock       *time.Time
			at          time.Time
			want        Reason
		}{
			{"our own, by a wrong clock of the node", ours, &node, noon.Add(off), ""},
			{"our own, remembered", ours, &node, noon.Add(off - time.Second), ""},
			{"our own, at its end", ours, &store, noon.Add(10 * time.Minute), ReasonExpired},
			{"our own, before it was issued", ours, &store, noon.Add(-time.Second), ReasonIssuedLater},
			{"theirs, by a wrong clock of the store", theirs, &store, noon.Add(off), ""},
			{"theirs, remembered", theirs, &store, noon.Add(off + time.Hour), ""},
			{"theirs, at its end", theirs, &node, noon.Add(10 * time.Minute), ReasonExpired},
			{"theirs, before it was issued", theirs, &node, noon.Add(-61 * time.Second), ReasonIssuedLater},
		} {
			node, store = noon, noon
			*step.clock = step.at
			if _, err := v.Verify(t.Context(), step.token); reasonOf(t, err) != step.want {
				t.Errorf("%s, off by %v: %v, want %q", step.what, off, err, step.want)
			}
		}
	}
}

func TestV22_OneKeyIDIsOneSignatureCheck(t *testing.T) {
	i := trust(t)
	i.Keys = static(t, idpKey(), keyOf("a", jose.ES256), keyOf("b", jose.ES256))
	v := newVerifier(t, i)
	for n, test := range []struct {
		token string
		want  Reason
	}{
		{sign(t, keyOf("a", jose.ES256), header(idpKey(), nil), claims(nil)), ReasonSignature},
		{sign(t, keyOf("a", jose.ES256), header(keyOf("a", jose.ES256), nil), claims(nil)), ""},
	} {
		expect(t, v, test.token, test.want)
		if got := v.Stats().Checks; got != uint64(n+1) {
			t.Errorf("%d checks for %d tokens", got, n+1)
		}
	}
	expect(t, v, sign(t, idpKey(), header(idpKey(), object{"kid": absent}), claims(nil)), ReasonUnknownKey)
	expect(t, v, sign(t, idpKey(), header(idpKey(), object{"kid": "unknown"}), claims(nil)), ReasonUnknownKey)
	if got := v.Stats().Checks; got != 2 {
		t.Errorf("%d checks, though no key was found", got)
	}
}

func TestL1_ErrorsHoldNothingOfTheToken(t *testing.T) {
	v := newVerifier(t, trust(t))
	const mark = "s3cret"
	for name, bad := range map[string]string{
		"subject":  token(t, object{"sub": mark + "\n"}),
		"issuer":   token(t, object{"iss": mark}),
		"audience": token(t, object{"aud": mark}),
		"kid":      sign(t, idpKey(), header(idpKey(), object{"kid": mark}), claims(nil)),
		"type":     sign(t, idpKey(), header(idpKey(), object{"typ": mark}), claims(nil)),
		"alg":      sign(t, idpKey(), header(idpKey(), object{"alg": mark}), claims(nil)),
		"member":   sign(t, idpKey(), header(idpKey(), object{mark: 1, "b64": mark}), claims(nil)),
		"form":     mark,
		"claims":   signRaw(t, idpKey(), encode(t, header(idpKey(), nil)), mark),
	} {
		_, err := v.Verify(t.Context(), bad)
		reason := reasonOf(t, err)
		if reason == "" || err.Error() != "bearer token refused: "+string(reason) {
			t.Errorf("%s: %v", name, err)
		}
		for cause := err; cause != nil; cause = errors.Unwrap(cause) {
			if strings.Contains(cause.Error(), mark) || strings.Contains(cause.Error(), bad) {
				t.Errorf("%s: %v", name, cause)
			}
		}
	}
}

// Whoever writes a log needs to know whose tokens are refused, and which of those names
// somebody only made up.
func TestRefusal_SaysWhoseTheTokenIs(t *testing.T) {
	own := trust(t)
	own.Name, own.Own = "https://app.example.com", true
	v := newVerifier(t, trust(t), own)
	for name, test := range map[string]struct {
		token           string
		verify          func(context.Context, string) (*sessions.Caller, error)
		issuer, claimed string
	}{
		"of another audience":        {token(t, object{"aud": "x"}), v.Verify, idp, ""},
		"expired":                    {token(t, object{"exp": 1}), v.Verify, idp, ""},
		"of an unknown key":          {sign(t, keyOf("a", jose.ES256), header(keyOf("a", jose.ES256), nil), claims(nil)), v.Verify, idp, ""},
		"badly signed":               {token(t, nil) + "AA", v.Verify, idp, ""},
		"ours without a session":     {token(t, object{"iss": own.Name}), v.Verify, own.Name, ""},
		"of an issuer nobody trusts": {token(t, object{"iss": "https://x"}), v.Verify, "", "https://x"},
		"of an issuer with a slash":  {token(t, object{"iss": idp + "/"}), v.Verify, "", idp + "/"},
		"without an issuer":          {token(t, object{"iss": absent}), v.Verify, "", ""},
		"opaque":                     {"abc", v.Verify, "", ""},
		"padded":                     {token(t, nil) + "=", v.Verify, idp, ""},
		"of a header that says b64":  {sign(t, idpKey(), header(idpKey(), object{"b64": true}), claims(nil)), v.Verify, idp, ""},
		"too large":                  {token(t, object{"groups": strings.Repeat("x", jose.MaxTokenSize*3/4)}), v.Verify, idp, ""},
		"where only ours count":      {token(t, nil), v.VerifyOwn, idp, ""},
	} {
		_, err := test.verify(t.Context(), test.token)
		refusal, ok := errors.AsType[*Refusal](err)
		if !ok || refusal.Issuer != test.issuer || refusal.Claimed != test.claimed {
			t.Errorf("%s: %+v", name, err)
		}
	}
}

func TestIssuerOf_TellsWhoseATokenClaimsToBe(t *testing.T) {
	v := newVerifier(t, trust(t))
	good := token(t, nil)
	part := strings.Split(good, ".")
	for name, test := range map[string]struct{ token, want string }{
		"good":                      {good, idp},
		"of nobody that we trust":   {token(t, object{"iss": "x"}), "x"},
		"expired":                   {token(t, object{"exp": 1}), idp},
		"of a wrong type":           {sign(t, idpKey(), header(idpKey(), object{"typ": "rt+jwt"}), claims(nil)), idp},
		"bad header":                {"x." + part[1] + "." + part[2], idp},
		"bad signature":             {part[0] + "." + part[1] + ".!", idp},
		"no signature":              {part[0] + "." + part[1] + ".", idp},
		"padded":                    {part[0] + "." + part[1] + "=." + part[2], idp},
		"no issuer":                 {token(t, object{"iss": absent}), ""},
		"issuer in upper case":      {token(t, object{"iss": absent, "ISS": "x"}), ""},
		"issuer of a wrong type":    {token(t, object{"iss": 7}), ""},
		"opaque":                    {"abc", ""},
		"empty":                     {"", ""},
		"claims are no JSON":        {part[0] + ".!!!." + part[2], ""},
		"claims are no object":      {signRaw(t, idpKey(), encode(t, header(idpKey(), nil)), "[]"), ""},
		"larger than anybody reads": {token(t, object{"pad": strings.Repeat("x", maxClaimed)}), ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := v.IssuerOf(test.token); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}
