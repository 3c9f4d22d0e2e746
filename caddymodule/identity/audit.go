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

// longPath is the length, in bytes, from which a path may hide what it names.
const longPath = 256

// An auditedRequest is a request that is recorded: an unsafe one of an impersonated session, or a
// refused one.
type auditedRequest struct {
	by     *Middleware
	ctx    context.Context
	record audit.Record
}

// newAuditedRequest returns the record of the request. It never contains the query, which may
// contain tokens.
func (m *Middleware) newAuditedRequest(r *http.Request, who *forward.Who) *auditedRequest {
	u := requestedURL(r)
	return &auditedRequest{by: m, ctx: r.Context(), record: audit.Record{
		Issuer: m.Issuer, SessionID: who.SessionID, UserID: who.UserID, Impersonation: who.Impersonation, Actor: who.Actor,
		ClientID: who.ClientID, Reason: who.Reason, ClientIP: observe.ClientIP(r), Method: r.Method, Path: recordedPath(cmp.Or(u.Path, u.Opaque, u.Host)), // the last is that of CONNECT
	}}
}

// recordedPath returns a path as it is recorded. The audit shortens a long path in the middle, so
// its simplified form is appended.
func recordedPath(p string) string {
	if len(p) <= longPath {
		return p
	}
	if direct := simplifiedPath(p); len(direct) < len(p)-1 {
		return p + " = " + direct
	}
	return p
}

// simplifiedPath returns a path as a server reads it that treats "\" as "/" and ignores parameters
// after ";".
func simplifiedPath(p string) string {
	segments := strings.Split(strings.ReplaceAll(p, `\`, "/"), "/")
	for i, segment := range segments {
		segments[i], _, _ = strings.Cut(segment, ";")
	}
	return path.Clean("/" + strings.Join(segments, "/"))
}

// recordBegin is called before the request is forwarded. ErrUnavailable means that it must not be:
// the audit is required and could not be written.
func (a *auditedRequest) recordBegin() error {
	return a.by.Reports.BeforeActing(&a.record)
}

// recordAnswer records the request once the status of its response is known. If that fails, it is
// only logged, since the response is on its way.
func (a *auditedRequest) recordAnswer(status int) {
	a.record.Event, a.record.Status = audit.EventActed, status
	_ = a.by.Reports.Record(a.ctx, &a.record)
}

// recordRefusal records a request that is not forwarded to the app.
func (a *auditedRequest) recordRefusal(f *refusal) {
	a.record.Event, a.record.Status, a.record.Error = audit.EventRefused, f.Status, f.Reason()
	_ = a.by.Reports.Record(a.ctx, &a.record)
}
