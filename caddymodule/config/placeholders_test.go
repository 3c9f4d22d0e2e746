package config

import (
	"slices"
	"strings"
	"testing"

	"authsidecar/caddymodule/internal/placeholder/placeholdertest"
)

// No text of a configuration keeps a placeholder, whatever words the grammar will have.
func TestPlaceholders_NoTextKeepsOne(t *testing.T) {
	kept := map[string]string{
		"trust.0.secret":                "it is resolved where it is used, and refused if it is more than one placeholder: TestCheck_RefusesWhatOnlyJSONCanSay",
		"trust.0.jwks_token":            "it is resolved each time that the keys are fetched, and refused if it is more than one placeholder: TestCheck_RefusesWhatOnlyJSONCanSay",
		"trust.0.events.token":          "it is resolved where it is used, and refused if it is more than one placeholder: TestCheck_RefusesWhatOnlyJSONCanSay",
		"oauth.clients.0.secrets":       "they are resolved where they are used, and refused if they are more than one placeholder: TestCheck_RefusesWhatOnlyJSONCanSay",
		"browser.sign_in.client_secret": "it is resolved where it is used, and refused if it is more than one placeholder: TestCheck_RefusesWhatOnlyJSONCanSay",
		"identity.login":                "it has placeholders of requests: TestPlaceholders_OfRequestsAreLeftToThem",
	}
	placeholdertest.Run(t, (*Block).Prepare, kept)
}

func TestPlaceholders_OfRequestsAreLeftToThem(t *testing.T) {
	t.Setenv("PH_HOST", "login.example.com")
	h := configOf(t, `"identity": {"require": true, "login": "https://{env.PH_HOST}/?next={http.request.uri_escaped}"}`)
	if err := h.Prepare(); err != nil || h.Identity.Login != "https://login.example.com/?next={http.request.uri_escaped}" {
		t.Errorf("%q, %v", h.Identity.Login, err)
	}
	h = configOf(t, `"identity": {"require": true, "login": "https://{env.PH_NONE}/"}`)
	if err := h.Prepare(); err == nil || !strings.Contains(err.Error(), "identity login: {env.PH_NONE} gives nothing") {
		t.Errorf("%v", err)
	}
}

// What a list's placeholder gives are words of their own: a name for each.
func TestPlaceholders_AListIsOneNameAWord(t *testing.T) {
	t.Setenv("PH_ADMINS", "root admin-*")
	t.Setenv("PH_COMMAS", "root,admin-*")
	h := configOf(t, `"protect": ["eve", "{env.PH_ADMINS}"]`)
	if err := h.Prepare(); err != nil || !slices.Equal(h.Protect, []string{"eve", "root", "admin-*"}) {
		t.Errorf("%q, %v", h.Protect, err)
	}
	for text, want := range map[string]string{"{env.PH_COMMAS}": "put blanks", "x-{env.PH_ADMINS}": "several words", "{env.PH_NONE}": "gives nothing"} {
		h := configOf(t, `"protect": ["`+text+`"]`)
		if err := h.Prepare(); err == nil || !strings.Contains(err.Error(), "protect: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
