package oauthapi

import (
	"fmt"
	"io"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"authsidecar/sessions/jose"
)

func TestLimit_FailuresOfAnAddressAreSlowedDown(t *testing.T) {
	f := newFixture(t)
	wrong := strings.Repeat("x", MinSecret)
	guess := func() answer { return f.postBasic("/token", "gateway", wrong, "grant_type", "refresh_token") }
	for range limitBurst {
		f.want(guess(), 401, "invalid_client")
	}
	for _, limited := range []answer{guess(), f.postBasic("/token", "gateway", secret, "grant_type", "refresh_token"), f.post("/introspect", "token", "x"), f.post("/revoke", "client_id", "app", "token", "x")} {
		f.want(limited, 429, "temporarily_unavailable")
		if limited.header.Get("Retry-After") != strconv.Itoa(int(limitEvery/time.Second)) {
			t.Errorf("Retry-After is %q", limited.header.Get("Retry-After"))
		}
	}
	r := formRequest("/oauth/revoke", "client_id=app&token=x")
	r.RemoteAddr = "192.0.2.7:1234"
	f.want(f.send(r), 200, "") // others are not
	f.now = f.now.Add(limitEvery)
	f.want(guess(), 401, "invalid_client")
	f.want(guess(), 429, "temporarily_unavailable")
	f.now = f.now.Add(limitBurst * limitEvery)
	f.want(f.postBasic("/token", "gateway", secret, "grant_type", "x"), 400, "unsupported_grant_type")
	if f.store.calls != 0 {
		t.Error("the store was asked")
	}
}

func TestLimit_ForgedTokensCountAndThoseThatAreOverDoNot(t *testing.T) {
	f := newFixture(t)
	other := newFixture(t)
	forged := forge(f.session().text("refresh_token"))
	old := f.session().text("refresh_token")
	expired := f.token("alice", map[string]any{"exp": f.now.Add(-time.Second).Unix()})
	f.want(f.post("/revoke", "client_id", "app", "token", old), 200, "")
	for range 2 * limitBurst {
		f.want(f.refresh(old), 400, "invalid_grant")
		f.want(f.exchange("subject_token", expired, "subject_token_type", tokenTypeJWT), 400, "invalid_request")
	}
	calls := f.store.calls
	for i := range limitBurst {
		switch i % 4 {
		case 0:
			f.want(f.refresh(forged), 400, "invalid_grant")
		case 1:
			f.want(f.post("/revoke", "client_id", "app", "token", forged), 200, "")
		case 2:
			f.want(f.exchange("subject_token", forge(f.token("alice", nil)), "subject_token_type", tokenTypeJWT), 400, "invalid_request")
		default:
			f.want(f.exchange("subject_token", other.token("alice", nil), "subject_token_type", tokenTypeJWT), 400, "invalid_request")
		}
	}
	f.want(f.refresh(forged), 429, "temporarily_unavailable")
	if f.store.calls != calls {
		t.Error("the store was asked")
	}
}

// forge gives a token another signature.
func forge(token string) string {
	at := strings.LastIndexByte(token, '.') + 1
	return token[:at] + strings.Repeat("A", len(token)-at)
}

// Whoever shares an address with people whose tokens are not good here is not kept out by them.
func TestLimit_TokensThatAreNotForgedDoNotCount(t *testing.T) {
	f := newFixture(t)
	other := newFixture(t) // as this one, with other keys: those that were replaced
	replaced := other.session()
	soon := f.now.Add(time.Hour).Unix()
	for name, send := range map[string]func() answer{
		"a refresh token of a key that was replaced": func() answer { return f.refresh(replaced.text("refresh_token")) },
		"an access token of such a key": func() answer {
			return f.exchange("subject_token", replaced.text("access_token"), "subject_token_type", tokenTypeAccess)
		},
		"one that is revoked": func() answer { return f.post("/revoke", "client_id", "app", "token", replaced.text("access_token")) },
		"of another audience": func() answer {
			return f.exchange("subject_token", f.token("alice", map[string]any{"aud": "https://other.example.com"}), "subject_token_type", tokenTypeJWT)
		},
		"not good yet": func() answer {
			return f.exchange("subject_token", f.token("alice", map[string]any{"nbf": soon}), "subject_token_type", tokenTypeJWT)
		},
		"of nobody": func() answer {
			return f.exchange("subject_token", f.token("", nil), "subject_token_type", tokenTypeJWT)
		},
		"of an issuer that is not trusted": func() answer {
			return f.exchange("subject_token", f.token("alice", map[string]any{"iss": "https://unknown.example.com"}), "subject_token_type", tokenTypeJWT)
		},
		"a session's own": func() answer {
			return f.exchange("subject_token", f.session().text("access_token"), "subject_token_type", tokenTypeJWT)
		},
		"of another issuer, to be revoked": func() answer { return f.post("/revoke", "client_id", "app", "token", f.token("alice", nil)) },
		"opaque, to be revoked":            func() answer { return f.post("/revoke", "client_id", "app", "token", "x") },
	} {
		for range limitBurst + 1 {
			if got := send(); got.status != 200 && got.status != 400 {
				t.Errorf("%s: %d %s", name, got.status, got.body)
				break
			}
		}
	}
	if n := f.api.Memory.limit.failed.Len(); n != 0 {
		t.Errorf("%d addresses are remembered", n)
	}
}

// A back end brings what its users send it: one of them does not keep out the others.
func TestLimit_WhatAClientBringsThatAuthenticatesDoesNotCount(t *testing.T) {
	f := newFixture(t)
	forged := forge(f.session().text("refresh_token"))
	for range 2 * limitBurst {
		f.want(f.postBasic("/token", "gateway", secret, "grant_type", "refresh_token", "refresh_token", forged), 400, "invalid_grant")
		f.want(f.postBasic("/introspect", "gateway", secret, "token", forged), 200, "")
	}
}

// Requests whose bodies come slowly are let in together, and fail together.
func TestLimit_ABurstThatWasHeldKeepsNobodyOutForLongerThanOneFailure(t *testing.T) {
	f := newFixture(t)
	wrong := strings.Repeat("x", MinSecret)
	var held [3 * limitBurst]*io.PipeWriter
	answers := make(chan answer)
	for i := range held {
		body, w := io.Pipe()
		held[i] = w
		r := httptest.NewRequest("POST", "/oauth/token", body)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Authorization", basic("gateway", wrong))
		go func() { answers <- f.send(r) }()
		_, _ = w.Write([]byte("grant_type")) // somebody reads: it was let in
	}
	for i, w := range held {
		_ = w.Close()
		if got := <-answers; (got.status == 401) != (i < limitBurst) {
			t.Errorf("%d: %d %s", i, got.status, got.body)
		}
	}
	f.want(f.post("/revoke", "client_id", "app", "token", "x"), 429, "temporarily_unavailable")
	f.now = f.now.Add(limitEvery)
	f.want(f.post("/revoke", "client_id", "app", "token", "x"), 200, "")
}

func TestLimit_FailuresAtOnceAreForgottenAsSoonAsTheLimitIsReached(t *testing.T) {
	now, l := time.Now(), newLimiter()
	for range 2000 {
		l.fail("192.0.2.1", now)
	}
	if wait := l.wait("192.0.2.1", now); wait != limitEvery {
		t.Errorf("the address waits for %s", wait)
	}
	if now = now.Add(limitBurst * limitEvery); l.fail("192.0.2.1", now) || l.wait("192.0.2.1", now) != 0 {
		t.Error("the failures are remembered")
	}
}

// What comes by a Unix socket has no address, and neither has a request of which Caddy knows none.
func TestLimit_WhatHasNoAddressIsNotLimited(t *testing.T) {
	now, l := time.Now(), newLimiter()
	for _, address := range []string{"", "@", "no address"} {
		for range 2 * limitBurst {
			if l.fail(address, now) || l.wait(address, now) > 0 {
				t.Fatalf("%q is limited", address)
			}
		}
	}
	if l.failed.Len() != 0 {
		t.Error("they are remembered")
	}
}

// Whoever keeps on guessing is told of once, until the address was quiet.
func TestLimit_AnAddressThatIsLimitedIsToldOnceWithTheClientThatIsKnown(t *testing.T) {
	f := newFixture(t)
	forged := f.sign(newKey(t, jose.ES256), map[string]any{"iss": "robot", "sub": "robot", "aud": issuer, "jti": "1", "exp": f.now.Add(time.Minute).Unix()}, nil)
	refresh := forge(f.session().text("refresh_token"))
	for client, guess := range map[string]func(){
		"gateway": func() { f.postBasic("/token", "gateway", strings.Repeat("x", MinSecret)) },
		"robot":   func() { f.post("/token", "client_assertion_type", assertionType, "client_assertion", forged) },
		"app":     func() { f.refresh(refresh) },
		"":        func() { f.postBasic("/token", "nobody", strings.Repeat("x", MinSecret)) },
	} {
		f.limited = nil
		for range limitBurst - 1 {
			guess()
		}
		if f.limited != nil {
			t.Errorf("%s: told too soon: %q", client, f.limited)
		}
		for range 10 {
			guess()
			f.now = f.now.Add(limitEvery)
		}
		if want := []string{client}; !slices.Equal(f.limited, want) {
			t.Errorf("told %q, want %q", f.limited, want)
		}
		f.now = f.now.Add(limitBurst * limitEvery)
	}
}

func TestLimit_AddressesOfOneCustomerAreOneAndMemoryIsBounded(t *testing.T) {
	now := time.Now()
	l := newLimiter()
	limited := func(address string) bool { return l.wait(address, now) > 0 }
	for i := range limitBurst {
		l.fail(fmt.Sprintf("2001:db8:1:2::%x", i), now)
	}
	if !limited("2001:db8:1:2:ffff::1") || !limited("2001:db8:1:2::1%eth0") || limited("2001:db8:1:3::1") || limited("192.0.2.1") {
		t.Error("a network of 64 bits is one address, and no other is")
	}
	for range limitBurst {
		l.fail("::ffff:192.0.2.9", now)
	}
	if !limited("192.0.2.9") || limited("192.0.2.8") {
		t.Error("an IPv4 address is one, however it is written")
	}
	for i := range 2 * limitAddresses {
		l.fail(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), now)
	}
	if l.failed.Len() != limitAddresses {
		t.Errorf("%d addresses are remembered", l.failed.Len())
	}
}
