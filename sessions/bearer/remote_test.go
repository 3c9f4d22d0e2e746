package bearer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"authsidecar/sessions/jose"
)

const jwksURL = "https://idp.example.com/jwks.json"

// publisher is an issuer's server without a network. Its answers are what a test
// sets; block keeps them back.
type publisher struct {
	mu      sync.Mutex
	status  int
	header  http.Header
	body    string
	err     error
	block   chan struct{}
	fetches int
}

func (p *publisher) publish(status int, body string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status, p.body, p.err = status, body, nil
}

func (p *publisher) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

func (p *publisher) hold(block chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.block = block
}

func (p *publisher) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fetches
}

func (p *publisher) RoundTrip(req *http.Request) (*http.Response, error) {
	p.mu.Lock()
	p.fetches++
	block := p.block
	p.mu.Unlock()
	if block != nil {
		select {
		case <-block:
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return nil, p.err
	}
	return &http.Response{
		StatusCode: p.status, Header: p.header.Clone(), Body: io.NopCloser(strings.NewReader(p.body)),
		ContentLength: int64(len(p.body)), Request: req,
	}, nil
}

func newRemote(t *testing.T, c RemoteConfig) *Remote {
	t.Helper()
	if c.Issuer == "" {
		c.Issuer = idp
	}
	r, err := NewRemote(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// publishing is a publisher of the keys.
func publishing(t *testing.T, keys ...*jose.PrivateKey) *publisher {
	t.Helper()
	p := &publisher{}
	p.publish(200, published(t, keys...))
	return p
}

func published(t *testing.T, keys ...*jose.PrivateKey) string {
	t.Helper()
	set := make([]any, len(keys))
	for i, key := range keys {
		set[i] = jwk(t, key, nil)
	}
	return jwks(t, set...)
}

func TestJ3_LastGoodKeysAreKeptForABoundedTime(t *testing.T) {
	key, other := keyOf("first", jose.ES256), keyOf("second", jose.ES256)
	for name, spoil := range map[string]func(*publisher){
		"error":            func(p *publisher) { p.fail(errors.New("no route")) },
		"500":              func(p *publisher) { p.publish(500, published(t, other)) },
		"404":              func(p *publisher) { p.publish(404, "") },
		"204":              func(p *publisher) { p.publish(204, "") },
		"empty set":        func(p *publisher) { p.publish(200, `{"keys":[]}`) },
		"no set":           func(p *publisher) { p.publish(200, `{}`) },
		"web page":         func(p *publisher) { p.publish(200, `<html>maintenance</html>`) },
		"empty body":       func(p *publisher) { p.publish(200, ``) },
		"unusable keys":    func(p *publisher) { p.publish(200, jwks(t, object{"kty": "AKP", "alg": "ML-DSA-44", "kid": "x"})) },
		"keys twice":       func(p *publisher) { p.publish(200, `{"keys":[],"keys":[`+encode(t, jwk(t, other, nil))+`]}`) },
		"501 keys":         func(p *publisher) { p.publish(200, many(t, 501)) },
		"over 1 MiB":       func(p *publisher) { p.publish(200, published(t, other)+strings.Repeat(" ", 1<<20)) },
		"a body that ends": func(p *publisher) { p.publish(200, published(t, other)[:50]) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := publishing(t, key)
				r := newRemote(t, RemoteConfig{URL: jwksURL, Transport: p})
				i := trust(t)
				i.Keys, i.MaxLifetime = r, 1000*time.Hour
				v, err := New(Config{Issuers: []Issuer{i}})
				must(t, err)
				stop := run(t, r)
				defer stop()
				synctest.Wait()
				now := time.Now().Unix()
				good := sign(t, key, header(key, nil), claims(object{"exp": now + 48*3600, "iat": now}))
				if _, err := v.Verify(t.Context(), good); err != nil {
					t.Fatal(err)
				}
				version := r.Version()

				spoil(p)
				pass(MaxStale - time.Second)
				if !has(t, r, key) || r.Version() != version || r.Status().Error == "" {
					t.Errorf("before the bound: %+v", r.Status())
				}
				pass(DefaultRefresh)
				if _, err := r.Key(t.Context(), key.ID(), key.Algorithm()); !errors.Is(err, ErrKeysUnavailable) {
					t.Errorf("after the bound: %v", err)
				}
				if _, err := v.Verify(t.Context(), good); !errors.Is(err, ErrKeysUnavailable) {
					t.Errorf("after the bound, a token that was verified before: %v", err)
				}

				p.publish(200, published(t, key))
				pass(MaxRetry)
				if _, err := v.Verify(t.Context(), good); err != nil || r.Status().Error != "" {
					t.Errorf("when keys are back: %v, %+v", err, r.Status())
				}
			})
		})
	}
}

// many makes n keys of one.
func many(t *testing.T, n int) string {
	keys := make([]any, n)
	for i := range keys {
		keys[i] = jwk(t, idpKey(), object{"kid": fmt.Sprint(i)})
	}
	return jwks(t, keys...)
}

func TestJ4_AThousandUnknownKeyIDsAreOneFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, next := keyOf("first", jose.ES256), keyOf("second", jose.ES256)
		p := publishing(t, key)
		r := newRemote(t, RemoteConfig{URL: jwksURL, Transport: p})
		stop := run(t, r)
		defer stop()
		synctest.Wait()
		flood := func() (unknown int) {
			var count atomic.Int64
			var all sync.WaitGroup
			for i := range 1000 {
				all.Go(func() {
					if _, err := r.Key(t.Context(), fmt.Sprint("bogus", i), jose.ES256); errors.Is(err, jose.ErrUnknownKey) {
						count.Add(1)
					}
				})
			}
			all.Wait()
			return int(count.Load())
		}
		before := p.count()
		for range 3 {
			if got := flood(); got != 1000 {
				t.Errorf("%d of 1000 were unknown keys", got)
			}
		}
		if got := p.count() - before; got != 1 {
			t.Errorf("%d fetches, want 1", got)
		}

		// The issuer rotates in the middle of the flood.
		p.publish(200, published(t, key, next))
		flood()
		if has(t, r, next) {
			t.Error("the flood made us fetch within the cooldown")
		}
		pass(Cooldown)
		flood()
		if !has(t, r, next) {
			t.Error("the new key is not found a cooldown later")
		}
		if got := p.count() - before; got != 2 {
			t.Errorf("%d fetches, want 2", got)
		}
	})
}

func TestJ4_ARotatedKeyIsFoundAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, next := keyOf("first", jose.ES256), keyOf("second", jose.ES256)
		p := publishing(t, key)
		r := newRemote(t, RemoteConfig{URL: jwksURL, Transport: p})
		stop := run(t, r)
		defer stop()
		synctest.Wait()
		p.publish(200, published(t, next))
		start := time.Now()
		if !has(t, r, next) || time.Since(start) != 0 {
			t.Error("the next key is not found by the first who presents it")
		}
		if has(t, r, key) {
			t.Error("the key that was withdrawn is used")
		}
	})
}

func TestJ4_KnownKeysNeverWaitForAFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := keyOf("first", jose.ES256)
		p := publishing(t, key)
		r := newRemote(t, RemoteConfig{URL: jwksURL, Transport: p})
		stop := run(t, r)
		defer stop()
		synctest.Wait()
		block := make(chan struct{})
		p.hold(block)

		start := time.Now()
		waited := make(chan error)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for range 10 {
			go func() {
				_, err := r.Key(ctx, "unknown", jose.ES256)
				waited <- err
			}()
		}
		synctest.Wait() // they wait for the fetch
		if !has(t, r, key) || time.Since(start) != 0 {
			t.Error("a known key waits")
		}
		if _, err := r.Key(t.Context(), key.ID(), jose.ES384); !errors.Is(err, jose.ErrAlgorithm) {
			t.Errorf("a known key of another algorithm: %v", err)
		}
		for range 10 {
			if err := <-waited; !errors.Is(err, ErrKeysUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("who waits for longer than he wants: %v", err)
			}
		}
		if got := time.Since(start); got != time.Second {
			t.Errorf("they waited for %v, not for their second", got)
		}
		_, err := r.Key(t.Context(), "unknown", jose.ES256)
		if got := time.Since(start); !errors.Is(err, ErrKeysUnavailable) || got > MaxFetch+time.Second {
			t.Errorf("who wants to wait for ever: %v after %v", err, got)
		}
		if got := p.count(); got != 2 {
			t.Errorf("%d fetches, want 2: the first, and one for all who waited", got)
		}
		close(block)
	})
}

// Somebody who asks and goes away must not take the fetch with him.
func TestJ4_WhoGoesAwayDoesNotEndTheFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, next := keyOf("first", jose.ES256), keyOf("second", jose.ES256)
		p := publishing(t, key)
		r := newRemote(t, RemoteConfig{URL: jwksURL, Transport: p})
		stop := run(t, r)
		defer stop()
		synctest.Wait()
		block := make(chan struct{})
		p.hold(block)
		p.publish(200, published(t, next))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := r.Key(ctx, "bogus", jose.ES256); !errors.Is(err, context.Canceled) {
			t.Errorf("who went away: %v", err)
		}
		close(block)
		synctest.Wait()
		if !has(t, r, next) {
			t.Error("the fetch was not finished")
		}
	})
}

func TestJ6_StartsWithoutKeysAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := keyOf("first", jose.ES256)
		p := publishing(t, key)
		p.fail(errors.New("connection refused"))
		r := newRemote(t, RemoteConfig{URL: jwksURL, Transport: p})
		if err := r.Load(t.Context()); err != nil {
			t.Errorf("loading without a memory: %v", err)
		}
		stop := run(t, r)
		defer stop()
		pass(10 * time.Second)
		if got := p.count(); got < 4 {
			t.Errorf("%d fetches in the first 10 s: a first failure is to be retried soon", got)
		}
		before := p.count()
		for range 100 {
			if _, err := r.Key(t.Context(), key.ID(), key.Algorithm()); !errors.Is(err, ErrKeysUnavailable) {
				t.Fatalf("without keys: %v", err)
			}
		}
		if got := p.count() - before; got > 1 {
			t.Errorf("%d fetches for 100 requests", got)
		}
		pass(time.Hour)
		if got := p.count() - before; got > 100 {
			t.Errorf("%d fetches in an hour", got)
		}
		p.publish(200, published(t, key))
		pass(MaxRetry)
		if !has(t, r, key) {
			t.Error("not recovered")
		}
		p.fail(errors.New("connection reset"))
		pass(DefaultRefresh)
		if due := time.Until(r.Status().RefreshAt); r.Status().Error == "" || due > MaxRetry {
			t.Errorf("due in %v", due)
		}
		p.publish(200, published(t, key))
		pass(MaxRetry)
		p.fail(errors.New("connection reset"))
		if _, err := r.Key(t.Context(), "unknown", key.Algorithm()); !errors.Is(err, ErrKeysUnavailable) {
			t.Errorf("while the issuer is away again: %v", err)
		}
		if due := time.Until(r.Status().RefreshAt); due > MinRetry {
			t.Errorf("the first failure after a success is retried in %v", due)
		}
	})
}

// An id that is not known is no proof of a bad token while the issuer cannot be
// asked for its new keys.
func TestJ6_UnknownKeyIDsWhileTheIssuerIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := keyOf("first", jose.ES256)
		p := publishing(t, key)
		r := newRemote(t, RemoteConfig{URL: jwksURL, Transport: p})
		stop := run(t, r)
		defer stop()
		synctest.Wait()
		p.fail(errors.New("connection refused"))
		if _, err := r.Key(t.Context(), "next", jose.ES256); !errors.Is(err, ErrKeysUnavailable) {
			t.Errorf("the issuer is away: %v", err)
		}
		p.publish(200, published(t, key))
		pass(MinRetry)
		if _, err := r.Key(t.Context(), "next", jose.ES256); !errors.Is(err, jose.ErrUnknownKey) {
			t.Errorf("the issuer is back: %v", err)
		}
	})
}

func TestRemote_WithoutRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := keyOf("first", jose.ES256)
		p := publishing(t, key)
		r := newRemote(t, RemoteConfig{URL: jwksURL, Transport: p})
		if _, err := r.Key(t.Context(), key.ID(), key.Algorithm()); !errors.Is(err, ErrKeysUnavailable) {
			t.Errorf("before Run: %v", err)
		}
		if p.count() != 0 {
			t.Error("fetched without Run")
		}
		stop := run(t, r)
		synctest.Wait()
		if p.count() != 1 {
			t.Errorf("%d fetches, want 1 for Run and whoever asked before", p.count())
		}
		stop()
		start := time.Now()
		if !has(t, r, key) {
			t.Error("the keys are gone after Run")
		}
		if has(t, r, keyOf("second", jose.ES256)) || time.Since(start) != 0 {
			t.Error("waits for a fetch that will not be")
		}
	})
}

// The log says whether there are keys to go on with, and which server has none; what may be a
// secret in its URL is not said.
func TestRemote_TheLogSaysWhatThereIsToGoOnWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := publishing(t, idpKey())
		p.fail(errors.New("connection refused"))
		var log book
		r := newRemote(t, RemoteConfig{URL: jwksURL + "?key=hunter2", Transport: p, Log: log.logger()})
		stop := run(t, r)
		synctest.Wait()
		if text := log.String(); !strings.Contains(text, "there are none") || strings.Contains(text, "stay in use for a while") ||
			!strings.Contains(text, strings.TrimPrefix(jwksURL, "https://")) || strings.Contains(text, "hunter2") {
			t.Errorf("%s", text)
		}
		stop()
	})
}

// Who waits when Run ends is let go.
func TestRemote_EndsWhileAFetchIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := publishing(t, idpKey())
		p.hold(make(chan struct{}))
		var log book
		r := newRemote(t, RemoteConfig{URL: jwksURL, Transport: p, Log: log.logger()})
		stop := run(t, r)
		synctest.Wait()
		start := time.Now()
		waited := make(chan error)
		go func() {
			_, err := r.Key(t.Context(), "x", jose.ES256)
			waited <- err
		}()
		synctest.Wait()
		stop()
		if err := <-waited; !errors.Is(err, ErrKeysUnavailable) || time.Since(start) != 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if log.String() != "" {
			t.Errorf("the end is reported as a failure: %s", log.String())
		}
	})
}

func TestRemote_RefreshesWhenTheServerSays(t *testing.T) {
	for cacheControl, test := range map[string]struct{ soonest, latest time.Duration }{
		"":                                {DefaultRefresh * 8 / 10, DefaultRefresh},
		"public, max-age=600":             {480 * time.Second, 600 * time.Second},
		"Max-Age=\"600\", public":         {480 * time.Second, 600 * time.Second},
		"max-age=0":                       {MinRefresh * 8 / 10, MinRefresh},
		"max-age=86400":                   {MaxRefresh * 8 / 10, MaxRefresh},
		"max-age=99999999999999999999":    {MaxRefresh * 8 / 10, MaxRefresh},
		"max-age=-5":                      {DefaultRefresh * 8 / 10, DefaultRefresh},
		"max-age=soon":                    {DefaultRefresh * 8 / 10, DefaultRefresh},
		"no-store":                        {MinRefresh * 8 / 10, MinRefresh},
		"max-age=86400, no-cache":         {MinRefresh * 8 / 10, MinRefresh},
		"s-maxage=60, immutable, x=\",\"": {DefaultRefresh * 8 / 10, DefaultRefresh},
	} {
		t.Run(cacheControl, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := publishing(t, idpKey())
				p.header = http.Header{"Cache-Control": {cacheControl}}
				r := newRemote(t, RemoteConfig{URL: jwksURL, Transport: p})
				stop := run(t, r)
				defer stop()
				synctest.Wait()
				if due := time.Until(r.Status().RefreshAt); due < test.soonest || due > test.latest {
					t.Errorf("due in %v", due)
				}
				pass(test.soonest - time.Second)
				if p.count() != 1 {
					t.Error("too soon")
				}
				pass(test.latest - test.soonest + time.Second)
				if p.count() != 2 {
					t.Errorf("%d fetches", p.count())
				}
			})
		})
	}
}

func TestRemote_TheSameKeysAreNoNewVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := keyOf("first", jose.ES256), keyOf("second", jose.ES256)
		p := publishing(t, first, second)
		r := newRemote(t, RemoteConfig{URL: jwksURL, Transport: p})
		stop := run(t, r)
		defer stop()
		synctest.Wait()
		version := r.Version()
		p.publish(200, " "+published(t, second, first))
		pass(DefaultRefresh)
		if p.count() != 2 || r.Version() != version {
			t.Errorf("in another order: version %d after %d", r.Version(), version)
		}
		if got := r.Status().FetchedAt; time.Since(got) > DefaultRefresh/2 {
			t.Errorf("fetched at %v: the same keys again are fresh ones", got)
		}
		p.publish(200, published(t, first))
		pass(DefaultRefresh)
		if r.Version() == version || has(t, r, second) {
			t.Error("a key that was withdrawn is no new version")
		}
	})
}

func TestRemote_RefusesWhatIsNotSafe(t *testing.T) {
	for name, c := range map[string]RemoteConfig{
		"no issuer":                     {Issuer: "", URL: jwksURL},
		"J1 http":                       {Issuer: idp, URL: "http://idp.example.com/jwks.json"},
		"J1 http discovery":             {Issuer: "http://idp.example.com"},
		"a host that looks like ours":   {Issuer: idp, URL: "http://localhost.example.com/"},
		"a user in the URL":             {Issuer: idp, URL: "https://user:pass@idp.example.com/"},
		"a file":                        {Issuer: idp, URL: "file:///etc/passwd"},
		"a path":                        {Issuer: idp, URL: "/etc/passwd"},
		"no host":                       {Issuer: idp, URL: "https:///jwks.json"},
		"opaque":                        {Issuer: idp, URL: "https:idp.example.com"},
		"a fragment":                    {Issuer: idp, URL: jwksURL + "#x"},
		"discovery at what is no URL":   {Issuer: "acme"},
		"V4 symmetric":                  {Issuer: idp, URL: jwksURL, Keys: jose.KeyPolicy{Symmetric: true}},
		"an URL that cannot be one":     {Issuer: idp, URL: "https://[::1"},
		"user s3cret is not in the log": {Issuer: idp, URL: "https://s3cret@x/"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewRemote(c)
			if err == nil || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("got %v", err)
			}
		})
	}
	for name, c := range map[string]RemoteConfig{
		"an issuer that is no URL":  {Issuer: "acme", URL: jwksURL},
		"the loopback":              {Issuer: idp, URL: "http://127.0.0.1:8080/jwks"},
		"the loopback of IPv6":      {Issuer: idp, URL: "http://[::1]:8080/jwks"},
		"the loopback by its name":  {Issuer: idp, URL: "http://localhost/jwks"},
		"http where it is accepted": {Issuer: "http://idp.example.com", InsecureHTTP: true},
	} {
		if _, err := NewRemote(c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRemote_StatusHoldsNoSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := publishing(t, idpKey())
		r := newRemote(t, RemoteConfig{URL: jwksURL + "?key=s3cret", Transport: p})
		stop := run(t, r)
		defer stop()
		synctest.Wait()
		status := r.Status()
		if status.Issuer != idp || status.Source != jwksURL || status.Error != "" ||
			len(status.Keys) != 1 || status.Keys[0] != (KeyStatus{idpKey().ID(), jose.ES256}) ||
			!status.UsableUntil.Equal(status.FetchedAt.Add(MaxStale)) {
			t.Errorf("%+v", status)
		}
		p.fail(errors.New("no route"))
		pass(DefaultRefresh)
		if text := encode(t, r.Status()); strings.Contains(text, "s3cret") || !strings.Contains(text, "no route") {
			t.Error(text)
		}
	})
}

// Whoever asked before a fetch began gets that one, and asks for no other.
func TestJ4_AskingIsAnsweredByTheNextFetch(t *testing.T) {
	now := noon
	r := newRemote(t, RemoteConfig{URL: jwksURL, Now: func() time.Time { return now }})
	r.ask <- struct{}{}
	if !r.begin(false) || len(r.ask) != 0 {
		t.Error("a fetch that was due left the question open")
	}
	now = now.Add(Cooldown - 1)
	if r.begin(true) {
		t.Error("asked for again within the cooldown")
	}
	now = now.Add(1)
	if !r.begin(true) {
		t.Error("not asked for after the cooldown")
	}
}

func TestRemote_ManyNodesDoNotAskAtOnce(t *testing.T) {
	times := map[time.Duration]bool{}
	for range 100 {
		d := jitter(time.Hour)
		if times[d] = true; d > time.Hour || d < 48*time.Minute {
			t.Errorf("an hour became %v", d)
		}
	}
	if len(times) < 90 {
		t.Errorf("%d times for 100 nodes", len(times))
	}
}
