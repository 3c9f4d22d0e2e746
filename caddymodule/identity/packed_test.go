package identity

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"authsidecar/caddymodule/config"
	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
)

// everything is each field that an app can be sent, and some claims.
func everything() (c config.Identity) {
	for i, field := range []string{"user_id", "session_id", "actor", "actor_issuer", "is_impersonation", "reason", "client_id", "/groups/1", "jti", "none"} {
		c.Headers = append(c.Headers, config.IdentityHeader{Name: fmt.Sprintf("X-Told-%d", i), Field: field})
	}
	c.AcceptCallers = true
	return c
}

// told is all that a request says of who asks: headers and placeholders.
func told(r *http.Request) (all []string) {
	for name, values := range r.Header {
		if strings.HasPrefix(name, "X-Told-") {
			all = append(all, fmt.Sprint(name, values))
		}
	}
	slices.Sort(all)
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	for _, name := range []string{"id", "session_id", "actor", "actor_issuer", "is_impersonation", "reason", "client_id", "other"} {
		value, known := repl.Get("http.auth.user." + name)
		all = append(all, fmt.Sprint(name, value, known))
	}
	return all
}

// An app is told the same of a token that is verified, that is remembered whole, and of which little
// is remembered.
func TestPacked_IsWhatTheTokenSays(t *testing.T) {
	long := strings.Repeat("x", 240)
	for name, row := range map[string]sessions.Session{
		"one's own session":           {UserID: "alice", ClientID: "app"},
		"a user of many letters":      {UserID: "zoë " + long, ClientID: "app"},
		"an impersonation":            {UserID: "alice", ClientID: "app", Impersonation: true, Actor: sessions.Principal{Issuer: idp, Subject: "desk"}, Reason: "ticket 7 ü"},
		"one with more than is kept":  {UserID: "alice", Impersonation: true, Actor: sessions.Principal{Issuer: idp, Subject: "desk"}, Reason: long[:120]},
		"a session in cookies":        {UserID: "alice", ClientID: "app", Cookies: true, Generation: 3},
		"a session with kept claims":  {UserID: "alice", Kept: sessions.Claims{"groups": []any{"a", "b,c"}}},
		"a session of nobody's claim": {UserID: "7"},
	} {
		t.Run(name, func(t *testing.T) {
			whole, little := newSite(t, everything(), config.Impersonation{}), newSiteOf(t, everything(), config.Impersonation{}, littleMemory)
			little.m.Verifier, whole.m.Verifier = newSiteVerifier(t, whole, littleMemory), newSiteVerifier(t, whole, 0)
			now := time.Now().UTC().Truncate(time.Second)
			row.Realm, row.ID, row.CreatedAt, row.RotatedAt, row.ExpiresAt, row.Idle, row.KeptAt = ourIssuer, "s", now, now, now.Add(time.Hour), time.Hour, now
			whole.m.Manager.Minter.Claims, whole.m.Manager.Minter.ClaimsAge = []string{"groups"}, time.Hour
			token, _, err := whole.m.Manager.Minter.Access(&row, now)
			if err != nil {
				t.Fatal(err)
			}
			var first []string
			for i := range 3 {
				for _, s := range []*site{whole, little} {
					s.ask("GET /", "Authorization", "Bearer "+token)
					if got := told(s.app); first == nil {
						first = got
					} else if !slices.Equal(got, first) {
						t.Errorf("request %d: %q, want %q", i+1, got, first)
					}
				}
			}
		})
	}
}

// newSiteVerifier returns a verifier of the tokens of a site, with so much memory.
func newSiteVerifier(t *testing.T, s *site, memory int) *bearer.Verifier {
	t.Helper()
	verifier, err := bearer.New(bearer.Config{CacheBytes: memory, Issuers: []bearer.Issuer{
		{Name: ourIssuer, Keys: s.m.Manager.Minter.Keys.Access, Audiences: []string{ourIssuer}, Own: true},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return verifier
}

// What is packed is what is unpacked, and another middleware's is nobody's.
func TestPacked_IsReadByWhoPackedItAlone(t *testing.T) {
	s, other := newSite(t, everything(), config.Impersonation{}), newSite(t, everything(), config.Impersonation{})
	holder, err := s.m.hold(t.Context(), s.token("s", "desk"))
	if err != nil {
		t.Fatal(err)
	}
	made := s.m.identify(holder)
	packed := string(made.pack())
	back := s.m.unpack(packed)
	if *back.Who != *made.Who || !reflect.DeepEqual(back.caller(), made.caller()) || !slices.Equal(back.headers, made.headers) || back.shared {
		t.Errorf("%+v, want %+v", back, made)
	}
	if got := other.m.unpack(packed); got != nil {
		t.Errorf("another one reads %+v", got)
	}
	if s.m.unpack("") != nil {
		t.Error("somebody of nothing")
	}
}

// A token that is known makes no garbage, and three objects where little of it is remembered.
func TestPacked_AKnownTokenMakesLittleGarbage(t *testing.T) {
	for memory, want := range map[int]float64{0: 0, littleMemory: 3} {
		s := newSiteOf(t, config.Identity{}, config.Impersonation{}, memory)
		token := s.token("s", "")
		verify := func() {
			if who, err := s.m.verify(t.Context(), token); err != nil || who.UserID != "alice" {
				t.Errorf("%+v, %v", who, err)
			}
		}
		verify()
		if got := testing.AllocsPerRun(100, verify); got > want {
			t.Errorf("%d bytes: %v objects, not %v", memory, got, want)
		}
	}
}

// A session that is revoked is refused at once, and so is a token that expires, where little of it is
// remembered.
func TestPacked_IsNoWayAroundRevocation(t *testing.T) {
	s := newSiteOf(t, config.Identity{}, config.Impersonation{}, littleMemory)
	token := "Bearer " + s.token("soon", "")
	for range 3 {
		if got := s.outcome("GET /", "Authorization", token); got != "alice +Authorization" {
			t.Fatal(got)
		}
	}
	s.watcher.Deny.Add(sessions.Key{Realm: ourIssuer, ID: "soon"}, time.Now())
	for range 3 {
		if got := s.outcome("GET /", "Authorization", token); got != "401 invalid_token" {
			t.Error(got)
		}
	}
	if got := s.m.Verifier.Stats(); got.Checks != 1 {
		t.Errorf("%+v", got)
	}
}
