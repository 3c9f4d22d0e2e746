package config

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"authsidecar/caddymodule/internal/placeholder"
	"authsidecar/sessions/logout"
	"authsidecar/sessions/logoutapi"
)

// SecurityEvents are what an issuer pushes to `<path>/events` (RFC 8935).
type SecurityEvents struct {
	// Our names for the transmitter: the "aud" of its tokens must have one of them. Required.
	Audience []string `json:"audience" placeholders:"resolve" example:"https://app.example.com/auth/sessions/events"`

	// The bearer token that the transmitter presents. Placeholders are resolved when the
	// configuration is loaded: `{env.NAME}` or `{file.path}`. Default: it presents none, and only
	// the signature counts.
	Token string `json:"token,omitempty" placeholders:"secret" example:"{env.IDP_HMAC}"`

	EventActions
}

// EventActions are the actions of events: `revoke` revokes sessions, `revoke-impersonations` only
// impersonations, and `log` none. Default: `revoke`
type EventActions struct {
	// CAEP: sessions of the subject were revoked.
	SessionRevoked string `json:"session-revoked,omitempty"`
	// CAEP: a password, a passkey or the like was added, changed or revoked.
	CredentialChange string `json:"credential-change,omitempty"`
	// RISC: the account was disabled.
	AccountDisabled string `json:"account-disabled,omitempty"`
	// RISC: the account was deleted.
	AccountPurged string `json:"account-purged,omitempty"`
	// RISC: all sessions of the account were revoked.
	SessionsRevoked string `json:"sessions-revoked,omitempty"`
}

// Words returns the field of each event's action, by the name of the event.
func (a *EventActions) Words() map[string]*string {
	return map[string]*string{
		"session-revoked": &a.SessionRevoked, "credential-change": &a.CredentialChange, "account-disabled": &a.AccountDisabled,
		"account-purged": &a.AccountPurged, "sessions-revoked": &a.SessionsRevoked,
	}
}

// actions are the known actions.
var actions = []logout.Action{logout.Revoke, logout.RevokeImpersonations, logout.Log}

// minEventToken is the minimum length of the token of a transmitter, in bytes.
const minEventToken = 16

// checkLogout checks the settings for logout tokens and security events.
func (t *Trust) checkLogout(at, name string) error {
	if slices.Contains(t.Logout, "*") {
		return wrong(at+".logout", "%s: logout * takes what was meant for other apps: name the client id that this app has at the issuer, as in: logout my-client", name)
	}
	if err := checkList(at+".logout", name+": logout", t.Logout); err != nil {
		return err
	}
	if t.Events == nil {
		return nil
	}
	at, name = at+".events", name+": events"
	if len(t.Events.Audience) == 0 {
		return wrong(at, "%s: no audience: write the \"aud\" that the tokens of the stream have, as in: audience https://app.example.com/auth/sessions/events", name)
	}
	if err := checkList(at+".audience", name+": audience", t.Events.Audience); err != nil {
		return err
	}
	if slices.Contains(t.Events.Audience, "*") {
		return wrong(at+".audience", "%s: audience * takes what was meant for other apps: name the audience of the stream", name)
	}
	if t.Events.Token != "" && !placeholder.Alone(t.Events.Token) {
		return wrong(at+".token", "%s: this is the token itself: write where it is, {env.NAME} or {file./path}", name)
	}
	words := t.Events.Words()
	for _, event := range logoutapi.Actionable {
		if action := words[event]; *action != "" && !slices.Contains(actions, logout.Action(*action)) {
			return wrong(at+"."+event, "%s: %s %q: known actions are %s", name, event, *action, names(actions))
		}
	}
	return nil
}

// Listeners returns the issuers that send logout tokens or events, by name; nil if there are none.
// It reads the tokens of transmitters.
func (b *Block) Listeners() (map[string]*logoutapi.Listener, error) {
	listeners := make(map[string]*logoutapi.Listener)
	for _, t := range b.Trust {
		if t.Logout == nil && t.Events == nil {
			continue
		}
		l := &logoutapi.Listener{Clients: t.Logout}
		if t.Events != nil {
			var err error
			if l.Events, err = t.Events.listen(); err != nil {
				return nil, fmt.Errorf("trust %s: events: %w", t.Issuer, err)
			}
		}
		listeners[t.Issuer] = l
	}
	return listeners, nil
}

func (e *SecurityEvents) listen() (*logoutapi.Events, error) {
	made := &logoutapi.Events{Audiences: e.Audience, Actions: make(map[string]logout.Action)}
	for event, action := range e.Words() {
		if *action != "" {
			made.Actions[event] = logout.Action(*action)
		}
	}
	if e.Token == "" {
		return made, nil
	}
	token, err := placeholder.Resolve(e.Token)
	if err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	if len(token) < minEventToken || strings.ContainsAny(token, " \t\r\n") {
		return nil, fmt.Errorf("token: it has %d bytes and needs at least %d, without blanks: make one with: openssl rand -hex 32", len(token), minEventToken)
	}
	hash := sha256.Sum256([]byte(token))
	made.TokenHash = hash[:]
	return made, nil
}
