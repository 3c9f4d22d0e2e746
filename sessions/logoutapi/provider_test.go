package logoutapi_test

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"authsidecar/sessions/logoutapi"
)

// A shape is a token as a provider, or a standard's example, has it. Its iss is ours to choose,
// its iat is now, and its exp is in so many seconds.
type shape struct {
	Name   string
	Typ    string
	Events bool // it is pushed
	Claims object
	Want   struct{ Kind, Sub, SID, Err string }
}

func TestTokensOfProvidersAreTaken(t *testing.T) {
	data, err := os.ReadFile("testdata/providers.json")
	if err != nil {
		t.Fatal(err)
	}
	var shapes []shape
	if err := json.Unmarshal([]byte(strings.ReplaceAll(string(data), "{iss}", idp)), &shapes); err != nil {
		t.Fatal(err)
	}
	for _, s := range shapes {
		t.Run(s.Name, func(t *testing.T) {
			w := newWorld(t)
			aud, _ := s.Claims["aud"].(string)
			if list, ok := s.Claims["aud"].([]any); ok {
				aud = list[0].(string)
			}
			listener := w.api.Listeners[idp]
			listener.Clients, listener.Events.Audiences, listener.Events.Actions = []string{aud}, []string{aud}, nil
			claims := with(s.Claims, object{"iss": idp, "iat": now.Unix()})
			if exp, ok := claims["exp"].(float64); ok {
				claims["exp"] = now.Add(time.Duration(exp) * time.Second).Unix()
			}
			token := w.sign(s.Typ, claims)
			switch {
			case s.Want.Err != "":
				w.want(w.push(token), http.StatusBadRequest, s.Want.Err)
				return
			case s.Events:
				w.want(w.push(token), http.StatusAccepted, "")
			default:
				w.want(w.post(token), http.StatusOK, "")
			}
			if w.last().Kind != s.Want.Kind {
				t.Errorf("heard %+v", w.last())
			}
			if s.Want.Sub+s.Want.SID == "" {
				if len(w.notices) != 0 || w.last().Outcome != logoutapi.OutcomeIgnored {
					t.Errorf("noticed %+v, heard %+v", w.notices, w.last())
				}
				return
			}
			if len(w.notices) != 1 || w.notices[0].Subject != s.Want.Sub || w.notices[0].SID != s.Want.SID {
				t.Errorf("noticed %+v", w.notices)
			}
		})
	}
}
