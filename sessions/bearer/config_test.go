package bearer

import (
	"testing"
	"time"
)

func TestNew_RefusesWhatIsNotSafe(t *testing.T) {
	for name, spoil := range map[string]func(*Issuer){
		"no name":                          func(i *Issuer) { i.Name = "" },
		"no keys":                          func(i *Issuer) { i.Keys = nil },
		"V17 no audience":                  func(i *Issuer) { i.Audiences = nil },
		"V17 empty audience":               func(i *Issuer) { i.Audiences = []string{app, ""} },
		"V17 an audience of anybody":       func(i *Issuer) { i.Audiences = []string{"*", app} },
		"V17 an audience claim of no name": func(i *Issuer) { i.AudienceClaims = []string{""} },
		"V18 ID tokens of a negative age":  func(i *Issuer) { i.IDTokens = -1 },
		"V18 ID tokens of last week":       func(i *Issuer) { i.IDTokens = 7 * 24 * time.Hour },
		"V15 negative leeway":              func(i *Issuer) { i.Leeway = -5 * time.Second },
		"V15 leeway over 300 s":            func(i *Issuer) { i.Leeway = 300*time.Second + 1 },
		"V15 negative lifetime":            func(i *Issuer) { i.MaxLifetime = -1 },
		"V15 lifetime that has no bounds":  func(i *Issuer) { i.MaxLifetime = 1<<63 - 1 },
		"empty type":                       func(i *Issuer) { i.Types = []string{""} },
		"V18 type of a refresh token":      func(i *Issuer) { i.Types = []string{"JWT", "application/RT+JWT"} },
		"V18 type of a logout token":       func(i *Issuer) { i.Types = []string{"logout+jwt"} },
		"V18 type of a DPoP proof":         func(i *Issuer) { i.Types = []string{"dpop+jwt"} },
		"V18 type of a security event":     func(i *Issuer) { i.Types = []string{"secevent+jwt"} },
	} {
		t.Run(name, func(t *testing.T) {
			i := trust(t)
			spoil(&i)
			if _, err := New(Config{Issuers: []Issuer{i}}); err == nil {
				t.Error("accepted")
			}
		})
	}
	if _, err := New(Config{}); err == nil {
		t.Error("no issuer: accepted")
	}
	if _, err := New(Config{Issuers: []Issuer{trust(t), trust(t)}}); err == nil {
		t.Error("an issuer twice: accepted")
	}
	greatest := trust(t)
	greatest.Leeway = MaxLeeway
	if _, err := New(Config{Issuers: []Issuer{greatest}}); err != nil {
		t.Errorf("leeway of 300 s: %v", err)
	}
}
