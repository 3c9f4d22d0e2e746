package bearer

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"authsidecar/sessions"
)

// marksOnly makes a verifier remember of tokens that they are good, and no more.
func marksOnly(v *Verifier) {
	for i := range v.cache.shards {
		v.cache.shards[i].most = 0
	}
}

// eachCache runs a test where all of a token is remembered, and where only that it is good.
func eachCache(t *testing.T, f func(t *testing.T, prepare func(*Verifier))) {
	t.Run("all of a token", func(t *testing.T) { f(t, func(*Verifier) {}) })
	t.Run("that it is good", func(t *testing.T) { f(t, marksOnly) })
}

// What is read of a marked token is what was read of it when it was verified.
func TestCache_ReadsAMarkedTokenAndVerifiesItOnce(t *testing.T) {
	own, tenants := trust(t), trust(t)
	own.Name, own.Own = "https://app.example.com", true
	tenants.Name, tenants.Issuers, tenants.UserClaim = "https://login.example.com/home/v2.0", []string{"https://login.example.com/*/v2.0"}, "/who/id"
	for name, token := range map[string]string{
		"a caller":       token(t, object{"scope": "a b", "roles": []string{"x"}, "nested": object{"level": 1.5, "none": nil}}),
		"our own":        token(t, object{"iss": own.Name, "sid": "s1", "sid_iat": 1500, "store": "x", "act": object{"iss": "i", "sub": "a"}, "reason": "ü"}),
		"a tenant's":     token(t, object{"iss": "https://login.example.com/other/v2.0", "who": object{"id": 17}}),
		"an ID token":    token(t, object{"nonce": "n", "iat": noon.Unix()}),
		"with fractions": token(t, object{"exp": float64(noon.Unix()) + 60.5}),
	} {
		t.Run(name, func(t *testing.T) {
			plain := trust(t)
			plain.IDTokens = time.Hour
			v := newVerifier(t, plain, own, tenants)
			marksOnly(v)
			first, err := v.Verify(t.Context(), token)
			must(t, err)
			again, err := v.Verify(t.Context(), token)
			must(t, err)
			if first == again || !reflect.DeepEqual(first, again) {
				t.Errorf("%+v, and then %+v", first, again)
			}
			if got, want := v.Stats(), (Stats{Hits: 1, Misses: 1, Checks: 1}); got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
		})
	}
}

// A token that differs in any part from one that is remembered is another token.
func TestCache_KnowsTheWholeToken(t *testing.T) {
	eachCache(t, func(t *testing.T, prepare func(*Verifier)) {
		v := newVerifier(t, trust(t))
		prepare(v)
		good := token(t, nil)
		expect(t, v, good, "")
		for at := range len(good) {
			letter := byte('A')
			if good[at] == letter {
				letter = 'B'
			}
			if _, err := v.Verify(t.Context(), good[:at]+string(letter)+good[at+1:]); err == nil {
				t.Errorf("good with another byte %d", at)
			}
		}
		if _, err := v.Verify(t.Context(), good[:strings.LastIndexByte(good, '.')+1]); err == nil {
			t.Error("good without a signature")
		}
		if got := cached(v); got != 1 {
			t.Errorf("%d tokens are remembered", got)
		}
	})
}

func TestCache_RemembersNothingWhereThereIsNoMemory(t *testing.T) {
	v, err := New(Config{Issuers: []Issuer{trust(t)}, CacheBytes: -1, Now: func() time.Time { return noon }})
	must(t, err)
	for range 2 {
		expect(t, v, token(t, nil), "")
	}
	if cached(v) != 0 || v.Stats().Hits != 0 {
		t.Errorf("%d tokens are remembered: %+v", cached(v), v.Stats())
	}
}

// fill remembers so many tokens that are good until an hour after now, from the first number on.
func fill(c *cache, first, n int) {
	for i := range n {
		c.add(&verified{Holder: Holder{id: numbered(first + i), issuer: new(issuer)}, end: c.now().Add(time.Hour), weight: 4000})
	}
}

func numbered(i int) digest { return sha256.Sum256(binary.LittleEndian.AppendUint64(nil, uint64(i))) }

// present counts how many of those tokens are remembered, and presents those.
func present(c *cache, first, n int) (known int) {
	for i := range n {
		id := numbered(first + i)
		all, m, _ := c.find(&id, 4000)
		if m.id != id {
			continue
		}
		if known++; all == nil {
			c.add(&verified{Holder: Holder{id: id, issuer: new(issuer)}, version: m.version, end: time.UnixMilli(m.until), weight: 4000})
		}
	}
	return known
}

// Whoever sends many tokens once, all of them good, does not displace those who come again.
func TestCache_IsNotFlushedByTokensThatArePresentedOnce(t *testing.T) {
	now := noon
	const regulars, scan = 2_000, 200_000
	c := newCache(2<<20, func() time.Time { return now }) // for some 75 whole tokens and 5,000 marks
	fill(c, 0, regulars)
	for range 10 {
		now = now.Add(10 * time.Second)
		if got := present(c, 0, regulars); got != regulars {
			t.Fatalf("%d of %d are known before", got, regulars)
		}
	}
	for part := range 10 {
		fill(c, regulars+part*scan/10, scan/10)
		now = now.Add(10 * time.Second)
		if got := present(c, 0, regulars); got != regulars {
			t.Fatalf("after %d others %d of %d are known", (part+1)*scan/10, got, regulars)
		}
	}
	if got := sizes(c); got > 2<<20 {
		t.Errorf("%d bytes", got)
	}
}

// Those who do not come any more make space, before their tokens end.
func TestCache_MakesSpaceForWhoComesNow(t *testing.T) {
	now := noon
	c := newCache(1<<20, func() time.Time { return now })
	const marks = 1 << 20 / 2 / markSize
	fill(c, 0, marks)
	for range 10 {
		present(c, 0, marks)
	}
	now = now.Add(10 * time.Minute)
	fill(c, marks, marks/2)
	if got := present(c, marks, marks/2); got < marks/2*9/10 {
		t.Errorf("%d of %d new ones are known", got, marks/2)
	}
}

// Those who came once, all of them before, make space for as many who come now, and for none of these.
func TestCache_WhoCameOnceBeforeMakesSpace(t *testing.T) {
	now := noon
	c := newCache(2<<20, func() time.Time { return now })
	const most = 2 << 20 / 7 * 6 / markSize
	fill(c, 0, most*6/10)
	now = now.Add(time.Second)
	fill(c, most, most*6/10)
	if got := present(c, most, most*6/10); got < most*6/10*97/100 {
		t.Errorf("%d of %d are known", got, most*6/10)
	}
	consistent(t, c)
}

func TestCache_ExpiredTokensMakeSpaceFirst(t *testing.T) {
	now := noon
	c := newCache(1<<20, func() time.Time { return now })
	const marks = 1 << 20 / 2 / markSize
	fill(c, 0, marks)
	for range 5 {
		present(c, 0, marks)
	}
	now = now.Add(61 * time.Minute)
	fill(c, marks, marks/2)
	if got := present(c, marks, marks/2); got < marks/2*9/10 {
		t.Errorf("%d of %d new ones are known", got, marks/2)
	}
}

// sizes is what a cache takes by its own estimate.
func sizes(c *cache) (bytes int) {
	for i := range c.shards {
		bytes += c.shards[i].weight + c.shards[i].marks.n*markSize
	}
	return bytes
}

// The estimate of what tokens take is not less than what they take.
func TestCache_TakesNoMoreMemoryThanItSays(t *testing.T) {
	for name, test := range map[string]struct {
		tokens, groups int
		prepare        func(*Verifier)
	}{
		"usual tokens":       {2_000, 2, func(*Verifier) {}},
		"tokens with groups": {300, 150, func(*Verifier) {}},
		"marks":              {6_000, 2, marksOnly},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVerifier(t, trust(t))
			test.prepare(v)
			groups := make([]string, test.groups)
			for i := range groups {
				groups[i] = "00000000-0000-0000-0000-" + strconv.Itoa(100_000_000_000+i)
			}
			before := heap()
			for i := range test.tokens {
				if _, err := v.Verify(t.Context(), token(t, object{"jti": i, "groups": groups, "email": "alice@example.com", "name": "Alice"})); err != nil {
					t.Fatal(err)
				}
			}
			if got, most := heap()-before, sizes(v.cache); got > most {
				t.Errorf("%d bytes for %d tokens, said to be at most %d", got, test.tokens, most)
			}
			runtime.KeepAlive(v)
		})
	}
}

// The page on performance says what the cache takes at most: whoever makes it more says so there.
func TestCache_TakesWhatThePageSays(t *testing.T) {
	page, err := os.ReadFile("../../caddymodule/docs/performance.md")
	must(t, err)
	tokens := (DefaultCacheBytes - DefaultCacheBytes/hotShare) / markSize / 10_000 * 10
	for _, want := range []string{
		fmt.Sprintf("verified tokens (%d MiB at most for a block)", DefaultCacheBytes>>20),
		fmt.Sprintf("in up to %d MiB per block: %d,000 tokens with a mark that they are valid, which saves the signature check, and up to %d bytes", DefaultCacheBytes>>20, tokens, MaxPacked),
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page does not say: %s", want)
		}
	}
}

func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

func TestCache_KeepsLittleOfAnEndedSession(t *testing.T) {
	eachCache(t, func(t *testing.T, prepare func(*Verifier)) {
		v := newVerifier(t, trust(t))
		prepare(v)
		same := token(t, nil)
		first, err := v.Holder(t.Context(), Credential{Token: same}, false)
		must(t, err)
		first.Made.Store("of it")
		for range 3 {
			v.MarkRevoked(same)
			again, err := v.Holder(t.Context(), Credential{Token: same}, false)
			must(t, err)
			if again == first || again.Made.Load() != nil || !reflect.DeepEqual(again.Caller(), first.Caller()) {
				t.Error("all of it is remembered")
			}
		}
		if got := v.Stats().Checks; got != 1 {
			t.Errorf("%d signatures were checked", got)
		}
		v.MarkRevoked(token(t, object{"jti": "never seen"}))
		if got := cached(v); got != 1 {
			t.Errorf("%d tokens are remembered", got)
		}
	})
}

// What is packed of a token is there again as long as little else of it is remembered, if it is not
// much; nothing is kept of a session that has ended.
func TestHolder_KeepsWhatWasPacked(t *testing.T) {
	tenants := trust(t)
	tenants.Name, tenants.Issuers = "https://login.example.com/home", []string{"https://login.example.com/*"}
	v := newVerifier(t, trust(t), tenants)
	hold := func(token string) *Holder {
		h, err := v.Holder(t.Context(), Credential{Token: token}, false)
		must(t, err)
		return h
	}
	whole := token(t, object{"jti": "whole"})
	hold(whole).Pack([]byte("x"))
	if got := hold(whole).Packed(); got != "" {
		t.Errorf("%q of a token of which all is remembered", got)
	}
	marksOnly(v)
	same, tenant := token(t, nil), token(t, object{"iss": "https://login.example.com/other"})
	hold(same).Pack(make([]byte, MaxPacked+1))
	hold(tenant).Pack([]byte("x")) // which would be read as one of the home's
	for _, token := range []string{same, tenant} {
		if got := hold(token).Packed(); got != "" {
			t.Errorf("%q of one with too much, or of a tenant", got)
		}
	}
	hold(same).Pack([]byte("of it"))
	h := hold(same)
	if h.Packed() != "of it" || h.Caller().Subject != hold(same).Caller().Subject || h.Caller().Claims == nil {
		t.Errorf("%q of %+v", h.Packed(), h.Caller())
	}
	v.MarkRevoked(same)
	h.Pack([]byte("of it"))
	if got := hold(same).Packed(); got != "" {
		t.Errorf("%q of a session that has ended", got)
	}
	if got := v.Stats().Checks; got != 3 {
		t.Errorf("%d signatures were checked", got)
	}
}

// A token that grows too old, or whose issuer has other keys, is not good for what is packed of it.
func TestHolder_WhatIsPackedIsNoLongerGoodThanTheToken(t *testing.T) {
	now := noon
	keys := &changing{KeySource: trust(t).Keys}
	of := trust(t)
	of.Keys, of.Now = keys, func() time.Time { return now }
	v := newVerifier(t, of)
	marksOnly(v)
	same := token(t, nil)
	for range 2 {
		h, err := v.Holder(t.Context(), Credential{Token: same}, false)
		must(t, err)
		h.Pack([]byte("of it"))
	}
	keys.version++
	h, err := v.Holder(t.Context(), Credential{Token: same}, false)
	must(t, err)
	if h.Packed() != "" || v.Stats().Checks != 2 {
		t.Errorf("%q, %+v", h.Packed(), v.Stats())
	}
	h.Pack([]byte("of it"))
	now = now.Add(2 * time.Hour)
	if _, err := v.Holder(t.Context(), Credential{Token: same}, false); reasonOf(t, err) != ReasonExpired {
		t.Error(err)
	}
}

// changing are keys that change.
type changing struct {
	KeySource
	version uint64
}

func (c *changing) Version() uint64 { return c.version }

// A token that is used more than others takes the space of as many as it needs, or of none.
func TestCache_MakesSpaceForAllOrForNone(t *testing.T) {
	c := newCache(0, func() time.Time { return noon })
	s := &c.shards[0]
	s.most, s.marks.most = 4000, 10
	for i := range 4 {
		known := &verified{Holder: Holder{id: digest{16 * byte(i)}, issuer: new(issuer)}, weight: 1000}
		if c.add(known) != known || len(s.whole) != i+1 {
			t.Fatalf("%d are remembered whole", len(s.whole))
		}
		s.marks.find(&known.id).uses = uint8(1 + 100*(i%2))
	}
	if s.makeSpace(3000, 50, second(noon)) || len(s.whole) != 4 || s.weight != 4000 {
		t.Errorf("%d are left, of %d bytes, for one that has no space", len(s.whole), s.weight)
	}
	if !s.makeSpace(2000, 50, second(noon)) || len(s.whole) != 2 || s.weight != 2000 || s.marks.n != 4 {
		t.Errorf("%d are left, of %d bytes, and %d marks", len(s.whole), s.weight, s.marks.n)
	}
	consistent(t, c)
}

// consistent checks that each mark is found, and that those that are remembered whole know each other.
func consistent(t *testing.T, c *cache) {
	t.Helper()
	for i := range c.shards {
		s := &c.shards[i]
		weight, whole := 0, 0
		for at := range uint32(s.marks.n) {
			m := s.marks.get(at)
			if s.marks.find(&m.id) != m {
				t.Errorf("mark %d is not found", at)
			}
			if m.whole == 0 {
				continue
			}
			known := s.whole[m.whole-1]
			if whole, weight = whole+1, weight+known.weight; known.id != m.id {
				t.Errorf("mark %d has another's place", at)
			}
		}
		if whole != len(s.whole) || weight != s.weight || len(s.marks.at) != s.marks.n || weight > s.most || s.marks.n > s.marks.most {
			t.Errorf("%d of %d, %d of %d bytes, %d of %d marks", whole, len(s.whole), weight, s.weight, s.marks.n, len(s.marks.at))
		}
	}
}

// Whatever is done to it, a cache finds what it has.
func TestCache_StaysConsistent(t *testing.T) {
	now := noon
	c := newCache(300<<10, func() time.Time { return now })
	random := rand.New(rand.NewPCG(7, 7)) // the same each time
	for range 40_000 {
		first := random.IntN(2000)
		id := numbered(first)
		switch random.IntN(12) {
		case 0:
			c.markRevoked(&id)
		case 1:
			c.remove(&id)
		case 2:
			c.pack(&id, id[:])
		case 3:
			now = now.Add(time.Second)
		default:
			if present(c, first, 1) == 0 {
				fill(c, first, 1)
			}
		}
	}
	consistent(t, c)
	known := 0
	for i := range 2000 {
		id := numbered(i)
		_, m, _ := c.find(&id, 4000)
		if m.id == id {
			known++
		}
		if m.size > 0 && string(m.packed[:m.size]) != string(id[:]) {
			t.Errorf("%d has what is packed of another", i)
		}
	}
	if known < 400 {
		t.Errorf("%d are known", known)
	}
}

// A token that is remembered costs no copy of itself.
func TestDigest_IsOfTheWholeTokenWithoutACopy(t *testing.T) {
	for _, n := range []int{0, 1, 511, 512, 513, 5000} {
		token := strings.Repeat("x", n)
		if got := digestOf(token); got != sha256.Sum256([]byte(token)) {
			t.Errorf("%d bytes: %x", n, got)
		}
		if got := testing.AllocsPerRun(10, func() { digestOf(token) }); got != 0 {
			t.Errorf("%d bytes: %v allocations", n, got)
		}
	}
}

func TestHolder_KeepsWhatWasMadeAsLongAsTheTokenIsRemembered(t *testing.T) {
	v := newVerifier(t, trust(t))
	same := token(t, nil)
	for i := range 3 {
		h, err := v.Holder(t.Context(), Credential{Token: same}, false)
		must(t, err)
		if made, _ := h.Made.Load().(int); made != i {
			t.Errorf("%d, want %d", made, i)
		}
		h.Made.Store(i + 1)
	}
	if _, err := v.Holder(t.Context(), Credential{Token: same}, true); reasonOf(t, err) != ReasonUnknownIssuer {
		t.Errorf("a caller's token for one of ours: %v", err)
	}
}

// slow is a clock that goes on by a millisecond whenever somebody looks.
func slow() func() time.Time {
	now := noon
	return func() time.Time { now = now.Add(time.Millisecond); return now }
}

// After a forged token a new one waits, so that a flood of them leaves time for others; one that is
// remembered does not, and who gives up waiting learns nothing of their token.
func TestVerify_AFloodOfForgedTokensLeavesTimeForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, err := New(Config{Issuers: []Issuer{trust(t)}, Now: slow()})
		must(t, err)
		for len(v.turns) < cap(v.turns)-1 {
			v.turns <- struct{}{}
		}
		known, fresh := token(t, nil), token(t, object{"jti": "new"})
		verifies(t)(v.Verify(t.Context(), known))
		forged := known[:strings.LastIndexByte(known, '.')+1] + strings.Repeat("A", 86)
		start := time.Now()
		if _, err := v.Verify(t.Context(), forged); reasonOf(t, err) != ReasonSignature {
			t.Errorf("forged: %v", err)
		}
		verifies(t)(v.Verify(t.Context(), known))
		if waited := time.Since(start); waited != 0 {
			t.Errorf("what is remembered waited %v", waited)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		var refusal *Refusal
		if _, err := v.Verify(gone, fresh); !errors.Is(err, ErrKeysUnavailable) || !IsUnavailable(err) || errors.As(err, &refusal) {
			t.Errorf("who did not wait: %v", err)
		}
		verifies(t)(v.Verify(t.Context(), fresh))
		if waited := time.Since(start); waited != forgeryRest*time.Millisecond {
			t.Errorf("a new one waited %v", waited)
		}
	})
}

// A check that panics gives its turn back.
func TestVerify_ABugDoesNotHoldUpLaterTokens(t *testing.T) {
	v := newVerifier(t, trust(t))
	for range cap(v.turns) {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			_ = v.checkSignature(t.Context(), nil, idpKey().Public())
		}()
	}
	verifies(t)(v.Verify(t.Context(), token(t, nil)))
}

func verifies(t *testing.T) func(*sessions.Caller, error) {
	t.Helper()
	return func(_ *sessions.Caller, err error) { t.Helper(); must(t, err) }
}
