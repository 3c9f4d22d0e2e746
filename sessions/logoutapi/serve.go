package logoutapi

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"authsidecar/sessions/bearer"
	"authsidecar/sessions/internal/endpoint"
	"authsidecar/sessions/jose"
	"authsidecar/sessions/logout"
)

// maxForm is the maximum size of a form, in bytes: a token, and some other fields.
const maxForm = jose.MaxTokenSize + 4<<10

// logout accepts a logout token (Back-Channel Logout 1.0 section 2.5).
func (a *API) logout(w http.ResponseWriter, r *http.Request) error {
	if !endpoint.IsMedia(r.Header, "application/x-www-form-urlencoded") {
		return errForm
	}
	body, err := a.bodies.Read(w, r, maxForm)
	if err != nil {
		return err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || len(form["logout_token"]) != 1 {
		return errForm
	}
	if err := a.applyLogout(r.Context(), form.Get("logout_token"), a.ip(r)); err != nil {
		return err
	}
	acknowledge(w, http.StatusOK)
	return nil
}

// applyLogout applies a logout token.
func (a *API) applyLogout(ctx context.Context, token, ip string) error {
	signed, err := a.Verifier.VerifySigned(ctx, token, func(s *bearer.Signed) error { return attribute(s, a.checkLogout(s)) })
	if err != nil {
		return a.reportRefused(ctx, KindLogout, err)
	}
	of := subject{sub: text(signed.Claims["sub"]), sid: text(signed.Claims["sid"])}
	n := noticeOf(signed, KindLogout, &of)
	n.IP = ip
	return a.apply(ctx, signed, n, &of)
}

// events accepts a security event token (RFC 8935 section 2).
func (a *API) events(w http.ResponseWriter, r *http.Request) error {
	presented, err := a.bearerHash(r.Header)
	if err != nil {
		return err
	}
	if !endpoint.IsMedia(r.Header, "application/secevent+jwt") {
		return errNoEvent
	}
	body, err := a.bodies.Read(w, r, jose.MaxTokenSize)
	if err != nil {
		return err
	}
	if len(body) == 0 {
		return errNoEvent
	}
	if err := a.applyEvents(r.Context(), string(body), presented, a.ip(r)); err != nil {
		return err
	}
	acknowledge(w, http.StatusAccepted)
	return nil
}

// applyEvents applies the events of a token, one after the other.
func (a *API) applyEvents(ctx context.Context, token string, presented []byte, ip string) error {
	signed, err := a.Verifier.VerifySigned(ctx, token, func(s *bearer.Signed) error {
		if err := a.checkEvent(s); err != nil {
			return attribute(s, err)
		}
		if want := a.Listeners[s.Issuer.Name].Events.TokenHash; len(want) > 0 && subtle.ConstantTimeCompare(want, presented) != 1 {
			return errPresented // that of another transmitter
		}
		return nil
	})
	if err != nil {
		return a.reportRefused(ctx, KindOther, err)
	}
	events := eventsOf(signed)
	for _, uri := range slices.Sorted(maps.Keys(events)) {
		if err := a.applyEvent(ctx, signed, kindOf(uri), events[uri], ip); err != nil {
			return err
		}
	}
	return nil
}

func (a *API) applyEvent(ctx context.Context, signed *bearer.Signed, kind string, event any, ip string) error {
	if !isActionable(kind) {
		a.Report(ctx, newResult(signed, kind, OutcomeIgnored))
		return nil
	}
	of, err := subjectOf(signed, event)
	if err != nil {
		return a.reportRefused(ctx, kind, attribute(signed, err))
	}
	n := noticeOf(signed, kind, &of)
	n.IP, n.Action, n.Account = ip, a.Listeners[signed.Issuer.Name].Events.action(kind), isAccount(kind)
	return a.apply(ctx, signed, n, &of)
}

// bearerHash returns the hash of the bearer token of a request. If every transmitter must present
// one, a request without a configured one is refused before its body is read.
func (a *API) bearerHash(h http.Header) (hash []byte, err error) {
	token, err := bearer.FromHeader(h)
	if err == nil {
		sum := sha256.Sum256([]byte(token))
		hash = sum[:]
	}
	for _, l := range a.Listeners {
		if l.Events != nil && (len(l.Events.TokenHash) == 0 || subtle.ConstantTimeCompare(l.Events.TokenHash, hash) == 1) {
			return hash, nil
		}
	}
	return nil, errPresented
}

// noticeOf returns the notice of a verified token about a subject.
func noticeOf(s *bearer.Signed, kind string, of *subject) *logout.Notice {
	at, _ := date(s.Claims["iat"])
	n := &logout.Notice{
		Kind: kind, JTI: text(s.Claims["jti"]), Issuer: s.Name, Trust: s.Trust, Issuers: s.Names,
		SID: of.sid, Subject: of.sub, At: at, Marked: s.Issuer.MaxLifetime + s.Issuer.Leeway, Action: logout.Revoke,
	}
	names := s.Issuer.UserClaim // the claim that identifies callers
	switch {
	case of.email != "" && bearer.IsEmail(names):
		n.User, n.UserID = of.email, of.email
	case names == "" || names == "sub":
		n.UserID = of.sub
	}
	if !s.Users {
		n.UserID = ""
	}
	return n
}

// apply applies a notice. If it names nothing by which callers are known here, it matches nothing.
func (a *API) apply(ctx context.Context, s *bearer.Signed, n *logout.Notice, of *subject) error {
	h := newResult(s, n.Kind, OutcomeNothing)
	h.Named = of.describe()
	if n.SID == "" && n.Subject == "" && n.User == "" && n.Action != logout.Log {
		a.Report(ctx, h)
		return nil
	}
	out, err := a.Logouts.Apply(ctx, n)
	h.Ended = out.Ended
	switch {
	case err != nil:
		h.Outcome, h.Err = OutcomeFailed, err
	case out.Logged:
		h.Outcome = OutcomeLogged
	case out.Ended > 0:
		h.Outcome = OutcomeRevoked
	case out.Repeated:
		h.Outcome = OutcomeRepeated
	}
	a.Report(ctx, h)
	return err
}

func newResult(s *bearer.Signed, kind string, outcome Outcome) *Result {
	at, _ := date(s.Claims["iat"])
	return &Result{Kind: kind, Issuer: s.Issuer.Name, Trust: s.Trust, JTI: text(s.Claims["jti"]), At: at, Outcome: outcome}
}

// reportRefused reports a token that is not valid, or whose validity is unknown.
func (a *API) reportRefused(ctx context.Context, kind string, err error) error {
	h := &Result{Kind: kind, Outcome: OutcomeFailed}
	if refused, ok := errors.AsType[*bearer.Refusal](err); ok {
		h.Issuer = refused.Issuer
	}
	err = refusalOf(err)
	if refused, ok := errors.AsType[*refusal](err); ok {
		h.Outcome, h.Mend = OutcomeRefused, refused.mend
		if refused.issuer != "" {
			h.Issuer = refused.issuer
		}
	} else if errors.Is(err, errPresented) {
		h.Outcome = OutcomeRefused
	}
	h.Err = err
	a.Report(ctx, h)
	return err
}

func (a *API) ip(r *http.Request) string {
	if a.ClientIP == nil {
		return ""
	}
	return a.ClientIP(r)
}
