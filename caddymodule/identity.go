package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	lru "github.com/hashicorp/golang-lru/v2"
	"go.uber.org/zap"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/forward"
	"authsidecar/sessions/httpapi"
)

// A gate is the identity block at work.
type gate struct {
	*Identity
	inst   *instance
	names  *forward.Names
	fields []forward.Field
	exempt caddyhttp.MatchPath
	known  *lru.Cache[*sessions.Caller, *identity]
}

// An identity is who is asking, as it was decided for a request. Those of one token share
// it: it is never changed.
type identity struct {
	*forward.Who // nil: nobody that we know
	headers      []string
	vars         []namedVar
	find         func(key string) (any, bool)

	mu        sync.Mutex
	assertion string
	minted    time.Time
}

type namedVar struct {
	name  string
	value any
}

// identityVar is the variable that the identity of a request is in.
const identityVar = "auth_sessions.identity"

// identityOf returns who is asking; ok is false where nobody decided.
func identityOf(r *http.Request) (who *identity, ok bool) {
	who, ok = caddyhttp.GetVar(r.Context(), identityVar).(*identity)
	return who, ok
}

// impersonated tells whether somebody acts as somebody else.
func (id *identity) impersonated() bool { return id.Who != nil && id.Impersonation }

// ours tells whether it is a session of ours.
func (id *identity) ours() bool { return id.Who != nil && id.Caller.Own }

func newGate(inst *instance, i *Identity) (*gate, error) {
	known, err := lru.New[*sessions.Caller, *identity](bearer.DefaultCacheSize)
	if err != nil {
		return nil, err
	}
	g := &gate{Identity: i, inst: inst, known: known, exempt: caddyhttp.MatchPath(i.Exempt)}
	var names []string
	names, g.fields = i.fields()
	g.names = forward.NewNames(names)
	for n := range g.Headers {
		g.Headers[n].Name = http.CanonicalHeaderKey(g.Headers[n].Name)
	}
	return g, g.exempt.Provision(caddy.Context{})
}

// forward hands a request on to the app: without identity as it came.
func (h *Handler) forward(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	g := h.inst.gate
	if g == nil {
		return next.ServeHTTP(w, r)
	}
	g.names.Scrub(r)
	traced(r)
	who, err := g.judge(w, r)
	forwarded(r, who)
	if err != nil || who == nil {
		g.drop(r) // a site's error routes may lead to the app
		return err
	}
	if err := g.introduce(r, who); err != nil {
		return g.unavailable(w, r, err)
	}
	return h.inst.guard(w, r, who, next)
}

// nobody is an identity of which nothing is known.
var nobody = &identity{find: func(key string) (any, bool) {
	_, ours := ownPlaceholder(key)
	return "", ours
}}

// judge decides who is asking. Where the answer is a refusal the error is it, or the
// request was answered and the identity is nil.
func (g *gate) judge(w http.ResponseWriter, r *http.Request) (*identity, error) {
	if !g.inst.ready.Load() {
		if err := g.inst.open(); err != nil {
			return nil, g.unavailable(w, r, err)
		}
	}
	credential, err := forward.Find(r, g.Cookie)
	if errors.Is(err, bearer.ErrNoToken) && len(r.Header["Authorization"]) == 0 {
		return g.anonymous(w, r, err)
	}
	var caller *sessions.Caller
	if err == nil {
		caller, err = g.verify(r.Context(), credential.Token)
	}
	switch {
	case err == nil && credential.Cookie && forward.Smuggled(r, g.inst.issuer): // beside it
		return g.refuse(w, r, credential, http.StatusUnauthorized, bearer.ErrMalformed)
	case err == nil && credential.Cookie && forward.CrossSite(r):
		return g.refuse(w, r, credential, http.StatusForbidden, errCrossSite)
	case err == nil:
		return g.identify(caller), nil
	case isUnavailable(err):
		return nil, g.unavailable(w, r, err)
	case g.claimed(r, credential):
		return g.refuse(w, r, credential, http.StatusUnauthorized, err)
	default: // somebody else's, and the app's affair
		return g.anonymous(w, r, err)
	}
}

var errCrossSite = errors.New("a page of another origin sent this request with the browser's cookie")

// verify tells whose token it is, if it is one that the app is told of.
func (g *gate) verify(ctx context.Context, token string) (*sessions.Caller, error) {
	verify := g.inst.verifier.VerifyOwn
	if g.AcceptCallers {
		verify = g.inst.verifier.Verify
	}
	caller, err := verify(ctx, token)
	if err != nil || !caller.Own {
		return caller, err
	}
	ended, err := g.inst.manager.Ended(ctx, caller)
	if ended {
		err = sessions.ErrEnded
	}
	return caller, err
}

func isUnavailable(err error) bool {
	for _, cause := range [...]error{sessions.ErrUnavailable, sessions.ErrNoKey, bearer.ErrKeysUnavailable, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, cause) {
			return true
		}
	}
	return false
}

// claimed tells whether a bad credential says that it is ours.
func (g *gate) claimed(r *http.Request, c forward.Credential) bool {
	if c.Cookie {
		for _, cookie := range r.CookiesNamed(g.Cookie) {
			if ours, _ := forward.Claims(cookie.Value, g.inst.issuer); ours {
				return true
			}
		}
	}
	return forward.Smuggled(r, g.inst.issuer)
}

// anonymous lets a request pass as nobody's, where that will do.
func (g *gate) anonymous(w http.ResponseWriter, r *http.Request, why error) (*identity, error) {
	if !g.Require && !g.Shadow || g.isExempt(r) {
		return nobody, nil
	}
	if forward.Preflight(r) {
		httpapi.DropOverrides(r) // it is nothing else
		return nobody, nil
	}
	return g.refuse(w, r, forward.Credential{}, http.StatusUnauthorized, why)
}

// refuse refuses a request, unless it is exempt, or require is on trial: then it goes
// on without what it came with.
func (g *gate) refuse(w http.ResponseWriter, r *http.Request, c forward.Credential, status int, why error) (*identity, error) {
	exempt := g.isExempt(r)
	if exempt || g.Shadow {
		if !exempt {
			g.shadowed(r, why)
		}
		g.drop(r)
		return nobody, nil
	}
	g.inst.failed(r, status, why)
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	if g.Login != "" && forward.Navigation(r) && status == http.StatusUnauthorized {
		g.toLogin(w, r)
		return nil, nil
	}
	switch {
	case status == http.StatusForbidden:
	case errors.Is(why, bearer.ErrNoToken):
		header.Set("WWW-Authenticate", "Bearer")
	case errors.Is(why, bearer.ErrMalformed) && !c.Cookie:
		header.Set("WWW-Authenticate", `Bearer error="invalid_token", error_description="Send one bearer token, in one Authorization header."`)
	default:
		header.Set("WWW-Authenticate", `Bearer error="invalid_token", error_description="The bearer token is not valid here, or no longer."`)
	}
	return nil, caddyhttp.Error(status, why)
}

// toLogin sends a person to where he can sign in.
func (g *gate) toLogin(w http.ResponseWriter, r *http.Request) {
	target := g.Login
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		target = repl.ReplaceAll(target, "")
	}
	w.Header().Set("Location", target)
	w.Header().Set("Vary", "Authorization, Cookie, Sec-Fetch-Mode, Accept")
	w.WriteHeader(http.StatusFound)
}

// drop takes out of a request what says that it is ours and is not good.
func (g *gate) drop(r *http.Request) {
	if forward.Smuggled(r, g.inst.issuer) {
		delete(r.Header, "Authorization")
	}
	ours := slices.ContainsFunc(r.CookiesNamed(g.Cookie), func(cookie *http.Cookie) bool {
		ours, _ := forward.Claims(cookie.Value, g.inst.issuer)
		return ours
	})
	forward.DropCookies(r, g.inst.issuer, g.Cookie, ours)
}

func (g *gate) shadowed(r *http.Request, why error) {
	reason := reasonOf(http.StatusUnauthorized, why)
	shadowRefusals.WithLabelValues(g.inst.issuer, reason).Inc()
	g.inst.logger.Info("request would be refused: require is on trial",
		zap.String("issuer", g.inst.issuer), zap.String("reason", reason), zap.String("client_ip", clientIP(r)),
		zap.String("method", r.Method), zap.String("path", r.URL.Path))
}

// unavailable answers where nobody can tell who is asking, or whether he still may.
func (g *gate) unavailable(w http.ResponseWriter, r *http.Request, err error) error {
	g.inst.failed(r, http.StatusServiceUnavailable, err)
	w.Header().Set("Retry-After", "1")
	return caddyhttp.Error(http.StatusServiceUnavailable, err)
}

// isExempt tells whether every way to read the request's path is exempt.
func (g *gate) isExempt(r *http.Request) bool {
	if len(g.exempt) == 0 || r.URL.Opaque != "" {
		return false
	}
	probe := (&http.Request{URL: new(url.URL)}).WithContext(r.Context())
	for reading := range httpapi.Readings(r.URL.Path) {
		probe.URL.Path = reading
		if match, err := g.exempt.MatchWithError(probe); !match || err != nil {
			return false
		}
	}
	return true
}

// identify returns what is told of a verified caller.
func (g *gate) identify(c *sessions.Caller) *identity {
	if known, ok := g.known.Get(c); ok {
		return known
	}
	who := forward.Of(c)
	a := &identity{Who: who, headers: make([]string, len(g.fields))}
	for i, field := range g.fields {
		a.headers[i] = field.Value(who)
	}
	told := map[string]string{
		"id": who.UserID, "session_id": who.SessionID, "actor": who.Actor.Subject, "actor_issuer": who.Actor.Issuer,
		"is_impersonation": strconv.FormatBool(who.Impersonation), "reason": who.Reason, "client_id": who.ClientID,
	}
	boxed := make(map[string]any, len(told))
	for name, value := range told {
		boxed[name] = value
	}
	for _, v := range [...]struct{ name, key string }{
		{"user_id", "id"}, {"session_id", "session_id"}, {"actor", "actor"}, {"is_impersonation", "is_impersonation"},
	} {
		a.vars = append(a.vars, namedVar{"auth_sessions." + v.name, boxed[v.key]})
	}
	a.find = func(key string) (any, bool) {
		name, ours := ownPlaceholder(key)
		value, ok := boxed[name]
		return value, ours && ok
	}
	if first, ok, _ := g.known.PeekOrAdd(c, a); ok {
		return first // by another request with the same token
	}
	return a
}

// introduce tells the app, and the handlers and logs on the way there, who is asking.
func (g *gate) introduce(r *http.Request, who *identity) error {
	forward.DropCookies(r, g.inst.issuer, "", false)
	caddyhttp.SetVar(r.Context(), identityVar, who)
	for _, v := range who.vars {
		caddyhttp.SetVar(r.Context(), v.name, v.value)
	}
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Map(who.find)
	}
	for i, value := range who.headers {
		if value != "" {
			r.Header[g.Headers[i].Name] = []string{value}
		}
	}
	if g.Assertion == nil || who.Who == nil {
		return nil
	}
	token, err := g.assert(who)
	if err == nil {
		r.Header["Authorization"] = []string{"Bearer " + token}
	}
	return err
}

// assertionReuse is how long an assertion is sent before a new one is minted, so that
// what the app gets is good for a while.
const assertionReuse = sessions.AssertionTTL * 3 / 4

// assert returns the assertion of the identity, minted not long ago. Who asks at the same
// time waits for the same one.
func (g *gate) assert(who *identity) (string, error) {
	who.mu.Lock()
	defer who.mu.Unlock()
	now := g.inst.manager.Store.Now()
	if who.assertion != "" && now.Sub(who.minted) < assertionReuse {
		return who.assertion, nil
	}
	token, err := g.inst.manager.Minter.Assertion(who.Caller, who.UserID, who.Actor, g.Assertion.Audience, now)
	if err != nil {
		return "", err
	}
	who.assertion, who.minted = token, now
	return token, nil
}

// ownPlaceholder returns what a placeholder of ours asks for: {http.auth.user.*}, which
// other handlers that authenticate may set too, {http.auth_sessions.user.*}, which
// nobody else does.
func ownPlaceholder(key string) (name string, ok bool) {
	for _, prefix := range [...]string{"http.auth.user.", "http.auth_sessions.user.", "http.auth_sessions."} {
		if len(key) > len(prefix) && key[:len(prefix)] == prefix {
			return key[len(prefix):], true
		}
	}
	return "", false
}
