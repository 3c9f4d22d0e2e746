package sessions

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

// plainRow is a row as encoding/json reads and writes it: what another release
// might do.
type plainRow struct {
	Format int `json:"v"`
	Session
	Created    int64  `json:"created"`
	Expires    int64  `json:"expires"`
	IdleMillis int64  `json:"idle"`
	Generation uint64 `json:"gen"`
	Secret     string `json:"rnd"`
	SecretPrev string `json:"rnd_prev,omitempty"`
	Rotated    int64  `json:"rotated"`
	Revoked    int64  `json:"revoked,omitempty"`
	Request    string `json:"request,omitempty"`
	KeptMillis int64  `json:"kept_at,omitempty"`
}

func toPlain(s *Session) plainRow {
	r := plainRow{
		Format: rowFormat, Session: *s, Created: s.CreatedAt.UnixMilli(), Expires: s.ExpiresAt.UnixMilli(),
		IdleMillis: s.Idle.Milliseconds(), Generation: s.Generation, Rotated: s.RotatedAt.UnixMilli(),
		Secret:  base64.RawURLEncoding.EncodeToString(s.Secret[:]),
		Request: base64.RawURLEncoding.EncodeToString(s.RequestHash),
	}
	if s.SecretPrev != zeroSecret {
		r.SecretPrev = base64.RawURLEncoding.EncodeToString(s.SecretPrev[:])
	}
	if !s.RevokedAt.IsZero() {
		r.Revoked = s.RevokedAt.UnixMilli()
	}
	if len(s.Kept) > 0 {
		r.KeptMillis = s.KeptAt.UnixMilli()
	}
	// The inner struct has the members of these names too, without a tag.
	r.Session.Realm, r.Session.ID = "", ""
	return r
}

func fromPlain(t *testing.T, key Key, data []byte) Session {
	t.Helper()
	var r plainRow
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatalf("encoding/json cannot read %s: %v", data, err)
	}
	s := r.Session
	s.Realm, s.ID, s.Generation = key.Realm, key.ID, r.Generation
	s.CreatedAt, s.ExpiresAt, s.RotatedAt = fromMillis(r.Created), fromMillis(r.Expires), fromMillis(r.Rotated)
	s.Idle = time.Duration(r.IdleMillis) * time.Millisecond
	if r.Revoked != 0 {
		s.RevokedAt = fromMillis(r.Revoked)
	}
	for text, to := range map[string][]byte{r.Secret: s.Secret[:], r.SecretPrev: s.SecretPrev[:]} {
		raw, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		copy(to, raw)
	}
	if r.KeptMillis != 0 {
		s.KeptAt = fromMillis(r.KeptMillis)
	}
	if r.Request != "" {
		s.RequestHash, _ = base64.RawURLEncoding.DecodeString(r.Request)
	}
	return s
}

func exampleRow() Session {
	return Session{
		Realm: "https://app.example.com", ID: "Zm9vYmFyYmF6cXV4MTIzNA", UserID: "alice", ClientID: "my-app",
		Impersonation: true, Reason: "ticket 4711", Actor: Principal{Issuer: "https://idp.example.com", Subject: "support-7"},
		ActorClient: "desk", ActorClaims: Claims{"scope": "openid sessions:impersonate", "level": int64(3), "part": 0.5},
		ActorSub: "f:uuid:7", ActorSID: "08a5", Kept: Claims{"groups": []any{"a"}}, KeptAt: fromMillis(1699999999000),
		ActorAbsent: []string{"scp", "dept"}, ActorWhole: true, Rule: "scope sessions:impersonate", IP: "192.0.2.7", UserAgent: "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101",
		CreatedAt: fromMillis(1700000000123), ExpiresAt: fromMillis(1702592000123), Idle: 336 * time.Hour,
		Generation: 3, Secret: [SecretSize]byte{1, 2, 3}, SecretPrev: [SecretSize]byte{9, 8, 7},
		KeyID: "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I", RotatedAt: fromMillis(1700000900123), RotatedFrom: "192.0.2.8",
		RevokedAt: fromMillis(1700001000000), EndReason: EndReuse, RequestHash: []byte{5, 6, 7},
	}
}

func TestARowIsJSONThatAnyReleaseReads(t *testing.T) {
	for name, s := range map[string]Session{
		"all fields": exampleRow(),
		"few fields": {Realm: "r", ID: "i", UserID: "u", CreatedAt: fromMillis(1), ExpiresAt: fromMillis(2), RotatedAt: fromMillis(3)},
	} {
		data, err := EncodeRow(&s)
		if err != nil {
			t.Fatal(err)
		}
		if got := fromPlain(t, s.Key(), data); !reflect.DeepEqual(got, s) {
			t.Errorf("%s: encoding/json reads\n%#v, not\n%#v", name, got, s)
		}
		plain, err := json.Marshal(toPlain(&s))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := DecodeRow(s.Key(), plain); err != nil || !reflect.DeepEqual(got, s) {
			t.Errorf("%s: what encoding/json wrote is\n%#v, %v, not\n%#v", name, got, err, s)
		}
		var ours, theirs map[string]any
		if json.Unmarshal(data, &ours) != nil || json.Unmarshal(plain, &theirs) != nil || !reflect.DeepEqual(ours, theirs) {
			t.Errorf("%s: members are %v, not %v", name, ours, theirs)
		}
	}
}

func TestARowOfANewerReleaseIsNotGuessedAt(t *testing.T) {
	for _, data := range []string{
		`{"v":2}`, `{"v":2,"user":{"new":"shape"}}`, `{"v":9,"gen":"x"}`, ` { "v" : 2 , whatever`,
	} {
		if _, err := DecodeRow(Key{}, []byte(data)); !errors.Is(err, ErrNewerRow) {
			t.Errorf("%s: %v, not ErrNewerRow", data, err)
		}
	}
}

func TestACorruptRowIsUnavailableAndQuotesNothing(t *testing.T) {
	s := exampleRow()
	good, err := EncodeRow(&s)
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
		_, err := DecodeRow(Key{}, []byte(data))
		if !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %v, not ErrUnavailable", data, err)
		}
		if err != nil && strings.Contains(err.Error(), "alice") {
			t.Errorf("the error %q tells of the row", err)
		}
	}
}

func TestARowOfThisReleaseMayHoldMore(t *testing.T) {
	s := exampleRow()
	data, _ := EncodeRow(&s)
	more := strings.Replace(string(data), `"v":1`, `"v":1,"later":{"a":[1,{"b":null}]},"more":"\u00e9"`, 1)
	if got, err := DecodeRow(s.Key(), []byte(more)); err != nil || !reflect.DeepEqual(got, s) {
		t.Errorf("%v: %#v", err, got)
	}
}

func TestARowWithAClaimThatIsNoJSONIsRefused(t *testing.T) {
	for _, value := range []any{math.NaN(), math.Inf(1), func() {}, make(chan int)} {
		s := exampleRow()
		s.ActorClaims = Claims{"x": []any{value}}
		if _, err := EncodeRow(&s); err == nil {
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
		data, err := EncodeRow(&s)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeRow(s.Key(), data)
		if err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		if plain := fromPlain(t, s.Key(), data); !reflect.DeepEqual(got, plain) {
			t.Errorf("%s reads\n%#v, to encoding/json\n%#v", data, got, plain)
		}
		s.UserID, s.Reason = strings.ToValidUTF8(user, "\ufffd"), strings.ToValidUTF8(reason, "\ufffd")
		if s.UserID == user && s.Reason == reason && !reflect.DeepEqual(got, s) {
			t.Errorf("%s reads\n%#v, not\n%#v", data, got, s)
		}
	})
}

func FuzzDecodeRow(f *testing.F) {
	s := exampleRow()
	data, _ := EncodeRow(&s)
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := DecodeRow(Key{Realm: "r", ID: "i"}, data)
		if err != nil {
			return
		}
		if !json.Valid(data) {
			t.Fatalf("%q is no JSON", data)
		}
		again, err := EncodeRow(&s)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := DecodeRow(s.Key(), again); err != nil || !reflect.DeepEqual(got, s) {
			t.Errorf("%s\nis written again as\n%s: %v", data, again, err)
		}
	})
}

func BenchmarkEncodeRow(b *testing.B) {
	s := exampleRow()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := EncodeRow(&s); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeRow(b *testing.B) {
	s := exampleRow()
	data, _ := EncodeRow(&s)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeRow(s.Key(), data); err != nil {
			b.Fatal(err)
		}
	}
}
