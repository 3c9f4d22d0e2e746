package rowcodec

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"authsidecar/sessions"
)

// Rows and cutoffs as earlier releases wrote them.
const (
	goldenRow     = `{"v":1,"user":"alice","client":"my-app","imp":true,"reason":"ticket 4711","actor":{"iss":"https://idp.example.com","sub":"support-7"},"actor_client":"desk","actor_sub":"f:uuid:7","actor_sid":"08a5","actor_auth":1699999000,"claims":{"level":3,"part":0.5,"scope":"openid sessions:impersonate"},"absent":["scp","dept"],"whole":true,"kept_at":1699999999000,"kept":{"groups":["a"]},"rule":"scope sessions:impersonate","ip":"192.0.2.7","ua":"Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101","kid":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I","rip":"192.0.2.8","end":"reuse","created":1700000000123,"expires":1702592000123,"idle":1209600000,"gen":3,"rnd":"AQIDAAAAAAAAAAAAAAAAAA","rnd_prev":"CQgHAAAAAAAAAAAAAAAAAA","rotated":1700000900123,"revoked":1700001000000,"request":"BQYH"}`
	goldenPending = `{"v":2,"user":"u","client":"","actor":{"iss":"","sub":""},"kid":"","created":1,"expires":2,"idle":0,"gen":0,"rnd":"AAAAAAAAAAAAAAAAAAAAAA","rotated":3,"cookies":true,"pending":{"life":3600000,"by_actor":true,"return_to":"/a?b"}}`
	goldenFew     = `{"v":1,"user":"u","client":"","actor":{"iss":"","sub":""},"kid":"","created":1,"expires":2,"idle":0,"gen":0,"rnd":"AAAAAAAAAAAAAAAAAAAAAA","rotated":3}`
	goldenCookies = `{"v":2,"user":"u","client":"","actor":{"iss":"","sub":""},"kid":"","created":1,"expires":2,"idle":0,"gen":4,"rnd":"AAAAAAAAAAAAAAAAAAAAAA","rotated":3,"cookies":true,"confirmed":3,"confirmed_at":4}`
	goldenEscapes = `{"v":1,"user":"\u2028 ` + "\x7f" + ` <&> \"\\\n\ufffd é","client":"","actor":{"iss":"","sub":""},"kid":"","created":1,"expires":2,"idle":0,"gen":0,"rnd":"AAAAAAAAAAAAAAAAAAAAAA","rotated":3}`
)

func exampleRow() sessions.Session {
	return sessions.Session{
		Realm: "https://app.example.com", ID: "Zm9vYmFyYmF6cXV4MTIzNA", UserID: "alice", ClientID: "my-app",
		Impersonation: true, Reason: "ticket 4711", Actor: sessions.Principal{Issuer: "https://idp.example.com", Subject: "support-7"},
		ActorClient: "desk", ActorClaims: sessions.Claims{"scope": "openid sessions:impersonate", "level": int64(3), "part": 0.5},
		ActorSub: "f:uuid:7", ActorSID: "08a5", ActorAuthAt: time.Unix(1699999000, 0).UTC(), Kept: sessions.Claims{"groups": []any{"a"}}, KeptAt: fromMillis(1699999999000),
		ActorAbsent: []string{"scp", "dept"}, ActorWhole: true, Rule: "scope sessions:impersonate", IP: "192.0.2.7", UserAgent: "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101",
		CreatedAt: fromMillis(1700000000123), ExpiresAt: fromMillis(1702592000123), Idle: 336 * time.Hour,
		Generation: 3, Secret: [sessions.SecretSize]byte{1, 2, 3}, SecretPrev: [sessions.SecretSize]byte{9, 8, 7},
		KeyID: "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I", RotatedAt: fromMillis(1700000900123), RotatedFrom: "192.0.2.8",
		RevokedAt: fromMillis(1700001000000), EndReason: sessions.EndReuse, RequestHash: []byte{5, 6, 7},
	}
}

func TestARowIsWrittenAndReadAsEarlierReleasesDid(t *testing.T) {
	few := sessions.Session{Realm: "r", ID: "i", UserID: "u", CreatedAt: fromMillis(1), ExpiresAt: fromMillis(2), RotatedAt: fromMillis(3)}
	escapes := few
	escapes.UserID = "\u2028 \x7f <&> \"\\\n\ufffd é"
	cookies := few
	cookies.Cookies, cookies.Generation, cookies.Confirmed, cookies.ConfirmedAt = true, 4, 3, fromMillis(4)
	pending := cookies
	pending.Pending, pending.Generation, pending.Confirmed, pending.ConfirmedAt = &sessions.Pending{Life: time.Hour, ByActor: true, ReturnTo: "/a?b"}, 0, 0, time.Time{}
	for golden, want := range map[string]sessions.Session{goldenRow: exampleRow(), goldenFew: few, goldenEscapes: escapes, goldenCookies: cookies, goldenPending: pending} {
		if got, err := Decode(want.Key(), []byte(golden)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is read as\n%#v, %v", golden, got, err)
		}
		data, err := Encode(&want)
		if err != nil || !bytes.HasPrefix(data, []byte(golden[:7])) {
			t.Errorf("%s, %v: the version does not come first", data, err)
		}
		var ours, theirs map[string]any
		if json.Unmarshal(data, &ours) != nil || json.Unmarshal([]byte(golden), &theirs) != nil || !reflect.DeepEqual(ours, theirs) {
			t.Errorf("%s is written as\n%s", golden, data)
		}
	}
}

func TestTextThatIsNoUTF8IsReplaced(t *testing.T) {
	s := exampleRow()
	s.UserID = "a\xffb"
	data, err := Encode(&s)
	if err != nil {
		t.Fatal(err)
	}
	for _, data := range []string{string(data), strings.Replace(goldenRow, "alice", "a\xffb", 1), strings.Replace(goldenRow, "alice", `a\ud800b`, 1)} {
		if got, err := Decode(s.Key(), []byte(data)); err != nil || got.UserID != "a\ufffdb" {
			t.Errorf("%s: %q, %v", data, got.UserID, err)
		}
	}
}

func TestARowOfANewerReleaseIsNotGuessedAt(t *testing.T) {
	for _, data := range []string{
		`{"v":3}`, `{"v":3,"user":{"new":"shape"}}`, `{"v":9,"gen":"x"}`, ` { "v" : 3 , whatever`,
	} {
		if _, err := Decode(sessions.Key{}, []byte(data)); !errors.Is(err, ErrNewer) {
			t.Errorf("%s: %v, not ErrNewerRow", data, err)
		}
	}
}

// A release that knows no sessions in cookies would sign their people out after the grace
// period, and forget that they are in cookies: to it they are unavailable, and all others are
// as they were.
func TestOnlyASessionInCookiesIsNewToTheReleaseBefore(t *testing.T) {
	s := exampleRow()
	plain, err := Encode(&s)
	if err != nil || FormatOf(&s) != 1 || bytes.Contains(plain, []byte("cookies")) || bytes.Contains(plain, []byte("confirmed")) {
		t.Errorf("%s, %v: version %d", plain, err, FormatOf(&s))
	}
	s.Cookies = true
	if data, err := Encode(&s); err != nil || FormatOf(&s) != 2 || !bytes.HasPrefix(data, []byte(`{"v":2,`)) {
		t.Errorf("%s, %v: version %d", data, err, FormatOf(&s))
	}
}

func TestACorruptRowIsUnavailableAndQuotesNothing(t *testing.T) {
	s := exampleRow()
	good, err := Encode(&s)
	if err != nil {
		t.Fatal(err)
	}
	bad := []string{
		"", "null", "[]", "{}", `{"v":1}`, `{"v":0,"user":"alice"}`, string(good) + "x", string(good) + "{}", `"alice"`,
		strings.Replace(string(good), `"v":1`, `"v":"alice"`, 1),
		strings.Replace(string(good), `"v":1`, `"v":1.5`, 1),
		strings.Replace(string(good), `"user":"alice"`, `"user":7`, 1),
		strings.Replace(string(good), `"gen":3`, `"gen":-3`, 1),
		strings.Replace(string(good), `"gen":3`, `"gen":18446744073709551616`, 1),
		strings.Replace(string(good), `"rnd":"`, `"rnd":"A`, 1),
		strings.Replace(string(good), `"rnd":`, `"rnd_":`, 1),
		strings.Replace(string(good), `"user":`, `"user_":`, 1),
		strings.Replace(string(good), `"expires":`, `"expires_":`, 1),
		strings.Replace(string(good), `"imp":true`, `"imp":1`, 1),
		strings.Replace(string(good), `"imp":true`, `"imp":null`, 1),
		strings.Replace(string(good), `"claims":{`, `"claims":[`, 1),
		strings.Replace(string(good), `"idle":1209600000`, `"idle":9223372036854775807`, 1),
	}
	for n := range len(good) {
		bad = append(bad, string(good[:n]))
	}
	for _, data := range bad {
		if data == string(good) {
			t.Fatal("a case changes nothing")
		}
		_, err := Decode(sessions.Key{}, []byte(data))
		if !errors.Is(err, sessions.ErrUnavailable) {
			t.Errorf("%s: %v, not ErrUnavailable", data, err)
		}
		if err != nil && strings.Contains(err.Error(), "alice") {
			t.Errorf("the error %q quotes the row", err)
		}
	}
}

func TestARowOfThisReleaseMayHoldMore(t *testing.T) {
	s := exampleRow()
	data, _ := Encode(&s)
	more := strings.Replace(string(data), `"v":1`, `"v":1,"later":{"a":[1,{"b":null}]},"more":"\u00e9"`, 1)
	if got, err := Decode(s.Key(), []byte(more)); err != nil || !reflect.DeepEqual(got, s) {
		t.Errorf("%v: %#v", err, got)
	}
}

func TestARowWithAClaimThatIsNoJSONIsRefused(t *testing.T) {
	for _, value := range []any{math.NaN(), math.Inf(1), func() {}, make(chan int)} {
		s := exampleRow()
		s.ActorClaims = sessions.Claims{"x": []any{value}}
		if _, err := Encode(&s); err == nil {
			t.Errorf("%T was encoded", value)
		}
	}
}

func FuzzRow(f *testing.F) {
	f.Add("alice", "ticket \"1\"\n", `{"a":[1,2.5,null,"x",{"b":true}]}`, uint64(1), int64(1700000000123))
	f.Add("\xff\u2028", "<&>\x00\x7f", `{"\u0000":-0.0}`, uint64(math.MaxUint64), int64(-1))
	f.Fuzz(func(t *testing.T, user, reason, claims string, gen uint64, ms int64) {
		const most = 1 << 52
		s := exampleRow()
		s.UserID, s.Reason, s.Generation = user, reason, gen
		s.CreatedAt = fromMillis(ms % most)
		if json.Unmarshal([]byte(claims), &s.ActorClaims) != nil || len(s.ActorClaims) == 0 {
			s.ActorClaims = nil
		}
		data, err := Encode(&s)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(s.Key(), data)
		if err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		if utf8.ValidString(user) && utf8.ValidString(reason) && !reflect.DeepEqual(got, s) {
			t.Errorf("%s reads\n%#v, not\n%#v", data, got, s)
		}
	})
}

func FuzzDecodeRow(f *testing.F) {
	s := exampleRow()
	data, _ := Encode(&s)
	f.Add(data)
	f.Add([]byte(strings.Replace(goldenFew, `"rotated"`, `"kept_at":0,"rotated"`, 1)))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Decode(sessions.Key{Realm: "r", ID: "i"}, data)
		if err != nil {
			return
		}
		if !json.Valid(data) {
			t.Fatalf("%q is no JSON", data)
		}
		again, err := Encode(&s)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Decode(s.Key(), again); err != nil || !reflect.DeepEqual(got, s) {
			t.Errorf("%s\nis written again as\n%s: %v", data, again, err)
		}
	})
}

func BenchmarkEncodeRow(b *testing.B) {
	s := exampleRow()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Encode(&s); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeRow(b *testing.B) {
	s := exampleRow()
	data, _ := Encode(&s)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(s.Key(), data); err != nil {
			b.Fatal(err)
		}
	}
}

// A store that keeps in places of its own what changes has the rest, and nothing of that twice.
func TestTheRestOfARowIsAllButWhatTheStoreKeeps(t *testing.T) {
	now := time.UnixMilli(1_767_323_045_678).UTC()
	want := sessions.Session{
		Realm: "r", ID: "i", UserID: "u", ClientID: "c", Rule: "self", ReportedBy: "192.0.2.1", Confirmed: 7, ConfirmedAt: now,
	}
	row := want
	row.CreatedAt, row.ExpiresAt, row.RotatedAt, row.RevokedAt = now, now, now, now
	row.KeyID, row.RotatedFrom, row.EndReason, row.Idle, row.Generation = "k", "192.0.2.2", sessions.EndRevoked, time.Hour, 5
	row.Secret, row.SecretPrev = [sessions.SecretSize]byte{1}, [sessions.SecretSize]byte{2}
	data, err := EncodeRest(&row)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeRest(row.Key(), data)
	epoch := time.UnixMilli(0).UTC()
	want.CreatedAt, want.ExpiresAt, want.RotatedAt = epoch, epoch, epoch
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s is read as %+v, %v", data, got, err)
	}
	if _, err := Decode(row.Key(), data); err == nil {
		t.Error("the rest of a row is taken for a whole one")
	}
}
