package logoutapi

import (
	"cmp"
	"slices"
	"strings"

	"authsidecar/sessions/logout"
)

// Names of events in configurations, logs and metrics.
const (
	KindLogout       = "backchannel-logout"
	KindVerification = "verification"
	KindOther        = "other"
)

// Actionable are the events whose action can be configured.
var Actionable = []string{"session-revoked", "credential-change", "account-disabled", "account-purged", "sessions-revoked"}

// Kinds are all names.
var Kinds = append([]string{KindLogout, KindVerification, KindOther}, Actionable...)

// schemas is the prefix of the URIs of all known events.
const schemas = "https://schemas.openid.net/secevent/"

// kinds maps URIs, without schemas, to events: OpenID CAEP 1.0 sections 3.1 and 3.3, OpenID RISC
// Profile 1.0 sections 2.2, 2.4 and 2.10, Shared Signals Framework 1.0 section 8.1.4. Google sends
// the RISC ones.
var kinds = map[string]string{ //nolint:gosec // names of events, not credentials
	"caep/event-type/session-revoked":   "session-revoked",
	"caep/event-type/credential-change": "credential-change",
	"risc/event-type/account-disabled":  "account-disabled",
	"risc/event-type/account-purged":    "account-purged",
	"risc/event-type/sessions-revoked":  "sessions-revoked",
	"ssf/event-type/verification":       KindVerification,
	"sse/event-type/verification":       KindVerification, // in drafts
	"risc/event-type/verification":      KindVerification, // from Google
}

// kindOf returns the name of an event.
func kindOf(uri string) string {
	rest, ok := strings.CutPrefix(uri, schemas)
	if !ok {
		return KindOther
	}
	return cmp.Or(kinds[rest], KindOther)
}

// isAccount reports whether an event is about the account itself.
func isAccount(kind string) bool { return kind == "account-disabled" || kind == "account-purged" }

// action returns the action of an event of that kind.
func (e *Events) action(kind string) logout.Action { return cmp.Or(e.Actions[kind], logout.Revoke) }

// isActionable reports whether events of that kind have an action.
func isActionable(kind string) bool { return slices.Contains(Actionable, kind) }
