package bearer

import (
	"errors"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/jose"
)

func TestOwnKeys_AreThoseOfTheRing(t *testing.T) {
	ring := sessions.NewRing(sessions.AccessTokenType)
	first, second := keyOf("first", jose.ES256), keyOf("second", jose.ES256)
	keys := OwnKeys{ring}
	if _, err := keys.Key(t.Context(), first.ID(), jose.ES256); !errors.Is(err, ErrKeysUnavailable) {
		t.Errorf("an empty ring: %v", err)
	}
	must(t, ring.Set([]sessions.KeyRecord{{From: noon, Key: first}, {From: noon.Add(time.Hour), Key: second}}))
	version := keys.Version()
	if !has(t, keys, first) || !has(t, keys, second) || has(t, keys, keyOf("other", jose.ES256)) {
		t.Error("other keys than the ring's")
	}
	if _, err := keys.Key(t.Context(), first.ID(), jose.EdDSA); !errors.Is(err, jose.ErrAlgorithm) {
		t.Errorf("another algorithm: %v", err)
	}
	if _, err := keys.Key(t.Context(), "", jose.ES256); !errors.Is(err, jose.ErrUnknownKey) {
		t.Errorf("no key id: %v", err)
	}
	must(t, ring.Set([]sessions.KeyRecord{{From: noon, Key: second}}))
	if has(t, keys, first) || keys.Version() == version {
		t.Error("a key that went is there")
	}
}

// What we mint as an access token is ours; what we mint as a refresh token is
// nobody's bearer token (V18, V25).
func TestV18_OurOwnTokens(t *testing.T) {
	const us = "https://app.example.com"
	access, refresh := keyOf("access", jose.ES256), keyOf("refresh", jose.EdDSA)
	keyring := sessions.NewKeyring()
	must(t, keyring.Access.Set([]sessions.KeyRecord{{From: noon, Key: access}}))
	must(t, keyring.Refresh.Set([]sessions.KeyRecord{{From: noon, Key: refresh}}))
	minter := sessions.Minter{
		Issuer: us, RefreshAudience: us + "/auth/sessions", AccessAudience: []string{us}, AccessTTL: 10 * time.Minute, Keys: keyring,
	}
	row := sessions.Session{
		Realm: us, ID: "s1", UserID: "alice", ClientID: "desk", Actor: sessions.Principal{Issuer: idp, Subject: "bob"},
		CreatedAt: noon, RotatedAt: noon, ExpiresAt: noon.Add(time.Hour), Idle: time.Hour, KeyID: refresh.ID(),
	}
	v := newVerifier(t, Issuer{Name: us, Keys: OwnKeys{keyring.Access}, Audiences: []string{us, us + "/auth/sessions"}, Own: true})

	minted, _, err := minter.Access(&row, noon)
	must(t, err)
	got, err := v.Verify(t.Context(), minted)
	if err != nil || !got.Own || got.SessionID != "s1" || got.Subject != "alice" || got.ClientID != "desk" || got.Acting {
		t.Errorf("%+v, %v", got, err)
	}
	row.Impersonation = true
	minted, _, err = minter.Access(&row, noon)
	must(t, err)
	if got, err = v.Verify(t.Context(), minted); err != nil || !got.Acting {
		t.Errorf("an impersonator's token: %+v, %v", got, err)
	}

	minted, err = minter.Refresh(&row)
	must(t, err)
	expect(t, v, minted, ReasonUnknownKey)
	if v.IssuerOf(minted) != us {
		t.Error("our refresh token is not known as ours")
	}
	both := trust(t) // even if the keys were one
	both.Name, both.Keys, both.Audiences, both.Own = us, static(t, access, refresh), []string{us + "/auth/sessions"}, true
	expect(t, newVerifier(t, both), minted, ReasonType)
}
