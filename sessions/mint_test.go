package sessions

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"authsidecar/sessions/strictjson"
)

// The claims as encoding/json writes them: what releases before minted.
type plainRefresh struct {
	Issuer   string    `json:"iss"`
	Audience string    `json:"aud"`
	Subject  string    `json:"sub"`
	Session  string    `json:"sid"`
	Client   string    `json:"client_id"`
	Gen      uint64    `json:"gen"`
	Secret   string    `json:"rnd"`
	IssuedAt int64     `json:"iat"`
	Expires  int64     `json:"exp"`
	Actor    *plainAct `json:"act,omitempty"`
}

type plainAccess struct {
	Issuer   string    `json:"iss"`
	Expires  int64     `json:"exp"`
	Audience any       `json:"aud"`
	Subject  string    `json:"sub,omitempty"`
	Client   string    `json:"client_id,omitempty"`
	IssuedAt int64     `json:"iat"`
	ID       string    `json:"jti"`
	Session  string    `json:"sid,omitempty"`
	Created  int64     `json:"sid_iat"`
	Actor    *plainAct `json:"act,omitempty"`
	Reason   string    `json:"reason,omitempty"`
}

type plainAct struct {
	Subject string `json:"sub"`
	Issuer  string `json:"iss"`
}

func actOf(s *Session) *plainAct {
	if !s.Impersonation {
		return nil
	}
	return &plainAct{s.Actor.Subject, s.Actor.Issuer}
}

func plainly(t *testing.T, claims any) string {
	t.Helper()
	var data bytes.Buffer
	encoder := json.NewEncoder(&data)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(claims); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(data.String(), "\n")
}

func written(t testing.TB, write func(*strictjson.Writer)) (data string) {
	t.Helper()
	_, err := sign(func(claims []byte) (string, error) { data = string(claims); return "", nil }, write)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// refreshClaims returns the claims of the row's refresh token.
func (m *Minter) refreshClaims(t testing.TB, s *Session) string {
	t.Helper()
	return written(t, func(w *strictjson.Writer) { m.writeRefresh(w, s) })
}

// readRefresh reads claims as those of a refresh token.
func (m *Minter) readRefresh(data string) (*Presented, error) {
	var claims refreshClaims
	if err := strictjson.Unmarshal([]byte(data), 16, &claims); err != nil {
		return nil, err
	}
	return m.read(&claims)
}

// wantMinted wants the claims of the row to be what encoding/json writes, byte for
// byte, and those of its refresh token to be read again.
func wantMinted(t *testing.T, m *Minter, s *Session, expires time.Time) {
	t.Helper()
	refresh := m.refreshClaims(t, s)
	if want := plainly(t, plainRefresh{
		m.Issuer, m.RefreshAudience, s.UserID, s.ID, s.ClientID, s.Generation,
		base64.RawURLEncoding.EncodeToString(s.Secret[:]), s.RotatedAt.Unix(), s.End().Unix(), actOf(s),
	}); refresh != want {
		t.Errorf("refresh claims are\n%s, not\n%s", refresh, want)
	}
	want := plainAccess{
		m.Issuer, expires.Unix(), any(m.AccessAudience), s.UserID, s.ClientID, s.RotatedAt.Unix(), "the-id", s.ID, s.CreatedAt.UnixMilli(), actOf(s), "",
	}
	if len(m.AccessAudience) == 1 {
		want.Audience = m.AccessAudience[0]
	}
	if s.Impersonation {
		want.Reason = s.Reason
	}
	if got := written(t, func(w *strictjson.Writer) { m.writeAccess(w, s, "the-id", s.RotatedAt, expires) }); got != plainly(t, want) {
		t.Errorf("access claims are\n%s, not\n%s", got, plainly(t, want))
	}
	valid := func(s string) string { return strings.ToValidUTF8(s, "") }
	if valid(s.UserID) != s.UserID || valid(s.ID) != s.ID || valid(s.ClientID) != s.ClientID || valid(m.Issuer) != m.Issuer || valid(m.RefreshAudience) != m.RefreshAudience {
		return
	}
	read, err := m.readRefresh(refresh)
	if want := (&Presented{Session: Key{m.Issuer, s.ID}, UserID: s.UserID, ClientID: s.ClientID, Generation: s.Generation, Secret: s.Secret}); err != nil || !reflect.DeepEqual(read, want) {
		t.Errorf("%s reads as %+v, %v", refresh, read, err)
	}
}

func TestClaimsAreWrittenAsTheLibraryDoesIt(t *testing.T) {
	odd := []string{"", "alice", "a\"b\\c", "<script>&", "é", "😀", "\x00\x1f", "\x7f", "\u2028", "a/b", `{`, "https://app.example.com"}
	pick := func() string {
		return odd[rand.N(len(odd))] + odd[rand.N(len(odd))]
	}
	for range 3000 {
		m := &Minter{Issuer: pick(), RefreshAudience: pick(), AccessAudience: []string{}}
		for range rand.N(3) {
			m.AccessAudience = append(m.AccessAudience, pick())
		}
		at := time.UnixMilli(rand.Int64N(4e12) - 2e12).UTC()
		wantMinted(t, m, &Session{
			ID: "id" + pick(), UserID: pick(), ClientID: pick(), Reason: pick(), Actor: Principal{pick(), pick()}, Impersonation: rand.N(2) == 0,
			CreatedAt: at, RotatedAt: at.Add(time.Hour), ExpiresAt: at.Add(time.Duration(rand.Int64N(1e15))), Idle: time.Hour,
			Generation: rand.Uint64(), Secret: [SecretSize]byte{byte(rand.N(256)), 1, 2},
		}, at.Add(time.Minute))
	}
}

func FuzzReadRefreshClaims(f *testing.F) {
	m := &Minter{Issuer: "https://app.example.com", RefreshAudience: "https://app.example.com/auth/sessions"}
	row := Session{ID: "id", UserID: "alice", ClientID: "app", Generation: 3, Secret: [SecretSize]byte{1}}
	good := m.refreshClaims(f, &row)
	f.Add([]byte(good))
	f.Add([]byte(strings.Replace(good, `"gen":3`, `"gen":"3"`, 1)))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := m.readRefresh(string(data))
		if err != nil {
			if p != nil {
				t.Error("an answer beside an error")
			}
			return
		}
		var plain plainRefresh
		if json.Unmarshal(data, &plain) != nil {
			return // other members than ours may be of any shape
		}
		if p.Session.Realm != m.Issuer || !json.Valid(data) {
			t.Errorf("%s is read as %+v", data, p)
		}
	})
}

func TestClaimsThatAreNotOfOurRefreshTokensAreRefused(t *testing.T) {
	m := &Minter{Issuer: "us", RefreshAudience: "here"}
	row := Session{ID: "id", UserID: "alice", ClientID: "app", Generation: 3, Secret: [SecretSize]byte{1}}
	good := m.refreshClaims(t, &row)
	if _, err := m.readRefresh(good); err != nil {
		t.Fatal(err)
	}
	secret := `"rnd":"` + base64.RawURLEncoding.EncodeToString(row.Secret[:]) + `"`
	for _, change := range [][2]string{
		{`"iss":"us"`, `"iss":"them"`},
		{`"iss":"us"`, `"iss":["us"]`},
		{`"aud":"here"`, `"aud":"there"`},
		{`"aud":"here"`, `"aud":["here"]`},
		{`"iss":"us",`, ``},
		{`"aud":"here",`, ``},
		{secret + ",", ``},
		{secret, `"rnd":"AA"`},
		{secret, `"rnd":"` + strings.Repeat("A", 43) + `"`},
		{secret, `"rnd":null`},
		{secret, `"rnd":"` + strings.Repeat("!", 22) + `"`},
		{`"gen":3`, `"gen":-3`},
		{`"gen":3`, `"gen":3.5`},
		{`"gen":3`, `"gen":"3"`},
		{`"gen":3`, `"gen":18446744073709551616`},
		{`"sub":"alice"`, `"sub":7`},
		{`"sid":"id"`, `"sid":null`},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if _, err := m.readRefresh(bad); bad == good || err == nil {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
