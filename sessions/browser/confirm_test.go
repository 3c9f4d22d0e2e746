package browser

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/jose"
	"authsidecar/sessions/storetest"
)

// A brokenStore is reached by nobody, and knows how often that was tried; it waits where a test
// says so.
type brokenStore struct {
	*storetest.Memory
	wait  chan struct{}
	tried atomic.Int64
}

func (s *brokenStore) Update(context.Context, sessions.Key, sessions.Transition) (sessions.Session, error) {
	s.tried.Add(1)
	<-s.wait
	return sessions.Session{}, fmt.Errorf("%w: it is down", sessions.ErrUnavailable)
}

// Nothing is revoked here.
type nothingRevoked struct{ sessions.Revocations }

func (nothingRevoked) RevokedByCutoff(sessions.Ref) bool { return false }

func (nothingRevoked) Revoked(context.Context, sessions.Ref) (bool, error) { return false, nil }

// A scene is an authenticator whose store is broken.
type scene struct {
	*Authenticator
	t      *testing.T
	key    *jose.PrivateKey
	tokens int // that were signed
	store  *brokenStore
	mu     sync.Mutex
	now    time.Time
	failed chan error
}

func newScene(t *testing.T) *scene {
	key, err := jose.Generate(jose.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{t: t, key: key, now: time.Unix(1_800_000_000, 0), failed: make(chan error, 2*maxConfirms)}
	keys, err := bearer.NewStatic(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := bearer.New(bearer.Config{
		Issuers: []bearer.Issuer{{Name: "https://app.example.com", Keys: keys, Audiences: []string{"app"}, Own: true}},
		Now:     func() time.Time { return time.Unix(1_800_000_000, 0) },
	})
	if err != nil {
		t.Fatal(err)
	}
	s.store = &brokenStore{wait: make(chan struct{}), Memory: &storetest.Memory{Clock: func() time.Time {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.now
	}}}
	s.Authenticator = &Authenticator{
		Jar: NewJar("__Host-session", true), Verifier: verifier, Manager: &sessions.Manager{Store: s.store, Revocations: nothingRevoked{}},
		Incomplete: func(_ string, err error) { s.failed <- err },
	}
	return s
}

// token returns the access token of the session's second generation.
func (s *scene) token(id string) string {
	s.t.Helper()
	token, err := s.key.Sign(fmt.Appendf(nil, `{"alg":"EdDSA","kid":%q,"typ":"at+jwt"}`, s.key.ID()), fmt.Appendf(nil,
		`{"iss":"https://app.example.com","aud":"app","sub":"alice","client_id":"app","iat":1800000000,"exp":1800000300,"sid":%q,"sid_iat":1,"gen":1}`, id))
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

// present has so many requests come with cookies of a second generation that nobody noted.
func (s *scene) present(requests int) {
	s.t.Helper()
	for range requests {
		s.tokens++
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Cookie", "__Host-session="+s.token(strconv.Itoa(s.tokens)))
		brought := s.Credential(r)
		if _, err := s.Authenticate(r, &brought); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *scene) later(by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(by)
}

func TestConfirm_AStoreThatIsDownIsNotAskedForEachRequest(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	close(s.store.wait)
	s.present(1)
	<-s.failed
	for _, by := range []time.Duration{0, confirmPause / 2} {
		s.later(by)
		s.present(100)
		if tried := s.store.tried.Load(); tried != 1 || len(s.failed) != 0 {
			t.Errorf("it was asked %d times, and %d were logged", tried, len(s.failed))
		}
	}
	for _, by := range []time.Duration{confirmPause, -time.Hour} { // the clock goes back, too
		before := s.store.tried.Load()
		s.later(by)
		s.present(1)
		<-s.failed
		if tried := s.store.tried.Load(); tried != before+1 {
			t.Errorf("after %v: it was asked %d times more", by, tried-before)
		}
	}
}

func TestConfirm_ASlowStoreIsNotAskedByMoreAndMore(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.present(10 * maxConfirms)
	if open := s.confirmations.open.Load(); open != maxConfirms {
		t.Errorf("%d ask at once", open)
	}
	close(s.store.wait)
	for range maxConfirms {
		<-s.failed
	}
}
