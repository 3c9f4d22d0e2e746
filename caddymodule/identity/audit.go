package identity

import (
	"cmp"
	"context"
	"net/http"
	"path"
	"strings"

	"authsidecar/caddymodule/observe"
	"authsidecar/sessions/audit"
	"authsidecar/sessions/forward"
)

// longPath is how long a path is, in bytes, that may hide what it names.
const longPath = 256

// An act is a request that is recorded: an unsafe one of an impersonated session, or one
// that was refused.
type act struct {
	by     *Middleware
	ctx    context.Context
	record audit.Record
}

// actOf is what is recorded of the request. The query never is: tokens do get there.
func (m *Middleware) actOf(r *http.Request, who *forward.Who) *act {
	u := requested(r)
	return &act{by: m, ctx: r.Context(), record: audit.Record{
		Issuer: m.Issuer, SessionID: who.SessionID, UserID: who.UserID, Impersonation: who.Impersonation, Actor: who.Actor,
		ClientID: who.ClientID, Reason: who.Reason, ClientIP: observe.ClientIP(r), Method: r.Method, Path: recordable(cmp.Or(u.Path, u.Opaque, u.Host)), // the last is that of CONNECT
	}}
}

// recordable returns a path as it is recorded. Of a long one the audit keeps both ends, so
// what is left of it without its detours comes last.
func recordable(p string) string {
	if len(p) <= longPath {
		return p
	}
	if direct := direct(p); len(direct) < len(p)-1 {
		return p + " = " + direct
	}
	return p
}

// direct returns a path as a server understands it for which "\" is "/" and what follows
// ";" is a parameter, which names nothing.
func direct(p string) string {
	segments := strings.Split(strings.ReplaceAll(p, `\`, "/"), "/")
	for i, segment := range segments {
		segments[i], _, _ = strings.Cut(segment, ";")
	}
	return path.Clean("/" + strings.Join(segments, "/"))
}

// begin is called before the request goes on. An ErrUnavailable: it must not, since the
// audit is required and could not be written.
func (a *act) begin() error {
	return a.by.Reports.Acting(&a.record)
}

// answered writes the one line of the request, as soon as its answer is known. That it
// may not be written is logged; the answer is on its way.
func (a *act) answered(status int) {
	a.record.Event, a.record.Status = audit.EventActed, status
	_ = a.by.Reports.Record(a.ctx, &a.record)
}

// refused writes the one line of a request that does not get to the app.
func (a *act) refused(f *refusal) {
	a.record.Event, a.record.Status, a.record.Error = audit.EventRefused, f.Status, f.Reason()
	_ = a.by.Reports.Record(a.ctx, &a.record)
}
