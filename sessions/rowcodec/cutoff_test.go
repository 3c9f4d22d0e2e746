package rowcodec

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/revocation"
)

func TestACutoffIsWrittenAndReadAsEarlierReleasesDid(t *testing.T) {
	at := fromMillis(1700000000123)
	for golden, want := range map[string]revocation.Cutoff{
		`{"v":1,"user":"YWxpY2X/"}`: {Filter: sessions.Filter{User: "alice\xff"}},
		`{"v":1,"actor":{"iss":"aXNz","sub":"c3Vi"},"imp":true,"by":{"iss":"Yg==","sub":"Yw=="}}`: {
			Filter: sessions.Filter{Actor: &sessions.Principal{Issuer: "iss", Subject: "sub"}, Impersonations: true},
			By:     sessions.Principal{Issuer: "b", Subject: "c"},
		},
		`{"v":1,"actor":{"iss":"","sub":""}}`: {Filter: sessions.Filter{Actor: &sessions.Principal{}}},
	} {
		want.Realm, want.ID, want.At = "r", "i", at
		data, err := EncodeCutoff(&want)
		if err != nil || string(data) != golden {
			t.Errorf("written as %s, %v, not\n%s", data, err, golden)
		}
		got, err := DecodeCutoff("r", "i", at.Add(time.Microsecond), []byte(golden))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is read as %+v, %v", golden, got, err)
		}
	}
}

func TestACutoffThatCannotBeReadIsNotGuessedAt(t *testing.T) {
	for data, want := range map[string]error{
		`{"v":2,"users":["alice"]}`: ErrNewer, `{"v":2,`: ErrNewer,
		``: sessions.ErrUnavailable, `{`: sessions.ErrUnavailable, `null`: sessions.ErrUnavailable, `{}`: sessions.ErrUnavailable,
		`{"user":"YWxpY2U="}`: sessions.ErrUnavailable, `{"v":1}`: sessions.ErrUnavailable, `{"v":1,"imp":false}`: sessions.ErrUnavailable,
		`{"v":1,"user":"YWxpY2U=","actor":null}`: sessions.ErrUnavailable, `{"v":1,"user":"alice"}`: sessions.ErrUnavailable,
		`{"v":1,"user":"YWxpY2U="}{}`: sessions.ErrUnavailable, `{"v":1,"user":"YWxpY2U=","user":"Ym9i"}`: sessions.ErrUnavailable,
	} {
		if _, err := DecodeCutoff("r", "i", fromMillis(1), []byte(data)); !errors.Is(err, want) {
			t.Errorf("%s: %v, not %v", data, err, want)
		}
	}
	if _, err := EncodeCutoff(&revocation.Cutoff{}); err == nil {
		t.Error("a cutoff of all was written")
	}
}
