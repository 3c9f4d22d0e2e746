package bearer

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"authsidecar/sessions/jose"
)

// That Explain and Verify agree on the reason, expect asks for every token of this
// package's tests.

func stepsOf(e *Explanation) (text string) {
	for _, s := range e.Steps {
		var refusal *Refusal
		switch {
		case s.Err == nil:
			text += " " + string(s.Check)
		case errors.As(s.Err, &refusal):
			text += " " + string(s.Check) + ":" + string(refusal.Reason)
		case errors.Is(s.Err, ErrKeysUnavailable):
			text += " " + string(s.Check) + "?"
		}
	}
	return strings.TrimSpace(text)
}

func TestExplain_GoesOnAfterTheFirstNo(t *testing.T) {
	stranger := keyOf("stranger", jose.ES256)
	good := token(t, nil)
	v := newVerifier(t, trust(t))
	nowhere := trust(t)
	never := newRemote(t, RemoteConfig{URL: jwksURL, Transport: publishing(t)}) // it does not run
	never.timeout, nowhere.Keys = time.Millisecond, never
	tests := []struct {
		name, token string
		v           *Verifier
		want        string
		caller      bool
	}{
		{"a good one", good, v, "form header issuer key signature type audience times subject", true},
		{"no token", "hello", v, "form:form", false},
		{"another header", signRaw(t, idpKey(), `{"alg":"ES256","crit":["x"]}`, "{}"), v, "form header:critical", false},
		{"another issuer", token(t, object{"iss": "https://other.example.com"}), v, "form header issuer:unknown_issuer", false},
		{
			"another key, another audience, and over", sign(t, stranger, header(stranger, nil), claims(object{"aud": "x", "exp": 1})), v,
			"form header issuer key:unknown_key type audience:audience times:expired subject", false,
		},
		{
			"a signature of somebody else", sign(t, stranger, header(stranger, object{"kid": idpKey().ID()}), claims(nil)), v,
			"form header issuer key signature:signature type audience times subject", false,
		},
		{
			"no keys", token(t, object{"sub": ""}), newVerifier(t, nowhere),
			"form header issuer key? type audience times subject:subject", false,
		},
		{"a type for something else", sign(t, idpKey(), header(idpKey(), object{"typ": "rt+jwt"}), claims(nil)), v, "form header issuer key signature type:type audience times subject", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := test.v.Explain(t.Context(), test.token)
			if got := stepsOf(e); got != test.want {
				t.Errorf("steps %s\nwant  %s", got, test.want)
			}
			if (e.Caller != nil) != test.caller {
				t.Errorf("caller %v", e.Caller)
			}
		})
	}
}

func TestRefresh_AsksAtOnceAndTellsWhatItGot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, next := keyOf("first", jose.ES256), keyOf("second", jose.ES256)
		p := publishing(t, key)
		r := newRemote(t, RemoteConfig{URL: jwksURL, Transport: p})
		stop := run(t, r)
		defer stop()
		synctest.Wait()
		p.publish(200, published(t, next))
		for range 3 { // there is no cooldown
			must(t, r.Refresh(t.Context()))
			if got := idsOf(r.Public()); !slices.Equal(got, []string{next.ID()}) {
				t.Errorf("keys %v", got)
			}
		}
		if got := p.count(); got != 4 {
			t.Errorf("asked %d times, want 4", got)
		}
		p.fail(errors.New("no route"))
		if err := r.Refresh(t.Context()); !errors.Is(err, ErrKeysUnavailable) {
			t.Errorf("error %v", err)
		}
		if len(r.Public()) != 1 {
			t.Error("the last good keys are gone")
		}
	})
}

func idsOf(keys []*jose.Key) (ids []string) {
	for _, key := range keys {
		ids = append(ids, key.ID())
	}
	return ids
}
