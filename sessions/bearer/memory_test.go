package bearer

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"authsidecar/sessions/jose"
)

type memory struct {
	data []byte
	err  error
}

func (m *memory) Load(context.Context) ([]byte, error) { return m.data, m.err }

func (m *memory) Save(_ context.Context, data []byte) error {
	if m.err == nil {
		m.data = data
	}
	return m.err
}

// filled is what is remembered of an issuer's keys now.
func filled(t *testing.T, c RemoteConfig, key *jose.PrivateKey) *memory {
	t.Helper()
	m := &memory{}
	c.Memory, c.Transport = m, publishing(t, key)
	stop := run(t, newRemote(t, c))
	synctest.Wait()
	stop()
	if m.data == nil {
		t.Fatal("nothing is remembered")
	}
	return m
}

func TestMemory_KeysOutliveARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := keyOf("first", jose.ES256)
		m := filled(t, RemoteConfig{URL: jwksURL}, key)
		pass(time.Hour)

		p := publishing(t)
		p.fail(errors.New("no route"))
		r := newRemote(t, RemoteConfig{URL: jwksURL, Transport: p, Memory: m})
		must(t, r.Load(t.Context()))
		if p.count() != 0 {
			t.Error("loading goes over the network")
		}
		stop := run(t, r)
		defer stop()
		synctest.Wait()
		if !has(t, r, key) || time.Since(r.Status().FetchedAt) < time.Hour {
			t.Errorf("%+v", r.Status())
		}
		// It was fetched an hour before the restart: the bound counts from there.
		pass(MaxStale - time.Hour - time.Second)
		if !has(t, r, key) {
			t.Error("not used up to the bound")
		}
		pass(time.Second)
		if _, err := r.Key(t.Context(), key.ID(), key.Algorithm()); !errors.Is(err, ErrKeysUnavailable) {
			t.Errorf("after the bound: %v", err)
		}
	})
}

func TestMemory_OthersKeysAreNotTaken(t *testing.T) {
	const discovered = ""
	for name, test := range map[string]struct {
		remembered RemoteConfig
		spoil      func(*memory)
		config     RemoteConfig
		ok         bool
	}{
		"the same":         {RemoteConfig{URL: jwksURL}, nil, RemoteConfig{URL: jwksURL}, true},
		"another issuer":   {RemoteConfig{Issuer: "x", URL: jwksURL}, nil, RemoteConfig{URL: jwksURL}, false},
		"another URL":      {RemoteConfig{URL: jwksURL + "2"}, nil, RemoteConfig{URL: jwksURL}, false},
		"discovery before": {RemoteConfig{URL: jwksURL}, nil, RemoteConfig{URL: discovered}, false},
		"not allowed now":  {RemoteConfig{URL: jwksURL}, nil, RemoteConfig{URL: jwksURL, Keys: jose.KeyPolicy{Algorithms: []jose.Algorithm{jose.EdDSA}}}, false},
		"nothing":          {RemoteConfig{URL: jwksURL}, func(m *memory) { m.data = nil }, RemoteConfig{URL: jwksURL}, false},
		"garbage":          {RemoteConfig{URL: jwksURL}, func(m *memory) { m.data = []byte("{") }, RemoteConfig{URL: jwksURL}, false},
		"another format": {RemoteConfig{URL: jwksURL}, func(m *memory) {
			m.data = []byte(strings.Replace(string(m.data), `"v":1`, `"v":2`, 1))
		}, RemoteConfig{URL: jwksURL}, false},
		"of the future": {RemoteConfig{URL: jwksURL}, func(m *memory) {
			m.data = []byte(strings.Replace(string(m.data), `"fetched":`, `"fetched":9`, 1))
		}, RemoteConfig{URL: jwksURL}, false},
		"without a time": {RemoteConfig{URL: jwksURL}, func(m *memory) {
			m.data = []byte(strings.Replace(string(m.data), `"fetched":`, `"x":`, 1))
		}, RemoteConfig{URL: jwksURL}, false},
		"empty set": {RemoteConfig{URL: jwksURL}, func(m *memory) {
			m.data = []byte(string(m.data)[:strings.Index(string(m.data), `"jwks"`)] + `"jwks":{"keys":[]}}`)
		}, RemoteConfig{URL: jwksURL}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				key := keyOf("first", jose.ES256)
				m := filled(t, test.remembered, key)
				if test.spoil != nil {
					test.spoil(m)
				}
				test.config.Memory = m
				r := newRemote(t, test.config)
				if err := r.Load(t.Context()); err != nil {
					t.Error(err)
				}
				if got := r.Version() != 0; got != test.ok {
					t.Errorf("taken: %v", got)
				}
			})
		})
	}
}

func TestMemory_ThatFailsIsNotFatal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log book
		broken := errors.New("disk full")
		r := newRemote(t, RemoteConfig{URL: jwksURL, Transport: publishing(t, idpKey()), Memory: &memory{err: broken}, Log: log.logger()})
		if err := r.Load(t.Context()); !errors.Is(err, broken) {
			t.Errorf("loading: %v", err)
		}
		stop := run(t, r)
		defer stop()
		synctest.Wait()
		if !has(t, r, idpKey()) {
			t.Error("keys that cannot be remembered are not used")
		}
		if !strings.Contains(log.String(), "disk full") {
			t.Errorf("not reported: %s", log.String())
		}
	})
}

// Keys that came over the network are not replaced by remembered ones.
func TestMemory_IsOlderThanTheNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := keyOf("first", jose.ES256), keyOf("second", jose.ES256)
		m := filled(t, RemoteConfig{URL: jwksURL}, first)
		r := newRemote(t, RemoteConfig{URL: jwksURL, Transport: publishing(t, second), Memory: m})
		stop := run(t, r)
		defer stop()
		synctest.Wait()
		m.data = filled(t, RemoteConfig{URL: jwksURL}, first).data
		must(t, r.Load(t.Context()))
		if has(t, r, first) || !has(t, r, second) {
			t.Error("replaced")
		}
	})
}
