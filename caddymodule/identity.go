package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	lru "github.com/hashicorp/golang-lru/v2"

	"authsidecar/caddymodule/config"
	"authsidecar/caddymodule/internal/pathpattern"
	"authsidecar/caddymodule/observe"
	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/forward"
)

// A gate is the identity block at work.
type gate struct {
	*config.Identity
	inst   *instance
	names  *forward.Names
	strict *forward.Names // and forward.PathHeaders
	fields []forward.Field
	exempt exemptPath
	known  *lru.Cache[*sessions.Caller, *identity]
	nobody *identity // of whom nothing is known
	routes sync.Map  // whether routes of a *caddyhttp.Server catch errors
	trials sync.Map  // headers that were seen while require is on trial
}

// An identity is who is asking, as it was decided for a request. Those of one token share
// it: it is never changed.
type identity struct {
	*forward.Who       // nil: nobody that we know
	gate         *gate // that decided it
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

// identityOf returns who is asking; ok is false where no gate decided.
func identityOf(r *http.Request) (who *identity, ok bool) {
	who, ok = caddyhttp.GetVar(r.Context(), identityVar).(*identity)
	return who, ok
}

// known reports whether it is somebody; nil is nobody.
func (id *identity) known() bool { return id != nil && id.Who != nil }

// impersonated reports whether somebody acts as somebody else.
func (id *identity) impersonated() bool { return id.known() && id.Impersonation }

// ours tells whether it is a session of ours.
func (id *identity) ours() bool { return id.known() && id.Caller.Own }

func newGate(inst *instance, i *config.Identity) (*gate, error) {
	known, err := lru.New[*sessions.Caller, *identity](bearer.DefaultCacheSize)
	if err != nil {
		return nil, err
	}
	g := &gate{Identity: i, inst: inst, known: known, exempt: exemptPath{pathpattern.New(i.Exempt)}}
	g.nobody = &identity{gate: g, find: findNothing}
	names, fields := i.Fields()
	g.fields = fields
	var replaced []string
	if i.Assertion != nil {
		replaced = []string{"Authorization"}
	}
	g.names = forward.NewNames(names, replaced...)
	g.strict = forward.NewNames(slices.Concat(names, forward.PathHeaders), replaced...)
	for n := range g.Headers {
		g.Headers[n].Name = http.CanonicalHeaderKey(g.Headers[n].Name)
	}
	return g, nil
}

// forward hands a request on to the app: without identity as it came.
func (h *Handler) forward(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	g := h.inst.gate
	if g == nil {
		h.inst.dropTokenHeaders(r)
		return next.ServeHTTP(w, r)
	}
	who, err := g.serve(w, r, next)
	if err != nil {
		return g.fail(w, r, who, err)
	}
	return nil
}

// serve hands a request on, if it may. who is whose it is, nil where that is not decided.
// What another block decided before stays.
func (g *gate) serve(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) (who *identity, err error) {
	before, _ := identityOf(r)
	if before != nil && before.gate == g { // the same block, once more
		return before, next.ServeHTTP(w, r)
	}
	g.scrub(r, before)
	observe.Arrived(r)
	if who, err = g.judge(w, r); err != nil {
		return before, err
	}
	g.withhold(r, who)
	if before.known() {
		if who.known() && !who.Same(before.Who) {
			return before, &refusal{Problem: errTwoIdentities, gate: g, who: before}
		}
		return before, next.ServeHTTP(w, r)
	}
	observe.Forwarded(r, who.Who)
	if err := g.introduce(r, who); err != nil {
		return who, g.unavailable(err)
	}
	return who, g.inst.guard(w, r, who, next)
}

// scrub takes the headers of ours out of a request, but those that a block before set, and
// those that rename its path.
func (g *gate) scrub(r *http.Request, before *identity) {
	if g.Shadow {
		g.tryScrub(r)
		return
	}
	var set *forward.Names
	if before.known() && !before.gate.Shadow {
		set = before.gate.names
	}
	g.removed(r).Scrub(r, set)
}

// judge decides who is asking, or refuses the request.
func (g *gate) judge(w http.ResponseWriter, r *http.Request) (*identity, error) {
	credential, caller, err := g.authenticate(r)
	switch {
	case err == nil && credential.Cookie && forward.Smuggled(r, g.inst.issuer): // beside it
		return g.refuse(r, &refusal{Problem: errTokens, cause: bearer.ErrMalformed})
	case err == nil && credential.Cookie && forward.CrossSite(r):
		return g.refuse(r, &refusal{Problem: errCrossOrigin, who: g.identify(caller)})
	case err == nil:
		g.keepCookie(r, credential.Token)
		return g.identify(caller), nil
	case errors.Is(err, bearer.ErrNoToken) && len(r.Header["Authorization"]) == 0:
		g.keepCookie(r, "")
		return g.anonymous(r, err)
	case isUnavailable(err):
		return nil, g.unavailable(err)
	case forward.Smuggled(r, g.inst.issuer), errors.Is(err, forward.ErrSeveral):
		return g.refuse(r, &refusal{Problem: badToken(err, credential), cause: err})
	case credential.Cookie && g.claimed(r):
		return g.over(w, r, err)
	default: // somebody else's, and the app's affair
		g.keepCookie(r, "")
		return g.anonymous(r, err)
	}
}

// keepCookie takes the cookies with tokens of ours out of a request, but the one that decided
// who is asking: an app that reads its cookie itself is told of nobody whom no guard has seen.
func (g *gate) keepCookie(r *http.Request, decided string) {
	if g.Cookie != "" && !g.Shadow {
		forward.DropCookies(r, g.inst.issuer, g.Cookie, decided, false)
	}
}

// authenticate finds the credential of a request and tells whose it is. Of several cookies
// the one counts that is good.
func (g *gate) authenticate(r *http.Request) (forward.Credential, *sessions.Caller, error) {
	c, err := forward.Find(r, g.Cookie)
	if errors.Is(err, bearer.ErrNoToken) && g.AcceptCallers {
		return g.fromTokenHeader(r)
	}
	if err != nil {
		return c, nil, err
	}
	caller, err := g.verify(r.Context(), c.Token)
	for _, token := range c.Others {
		other, why := g.verify(r.Context(), token)
		switch ours, _ := forward.Claims(token, g.inst.issuer); {
		case isUnavailable(err):
			return c, nil, err
		case err == nil && why == nil:
			return c, nil, forward.ErrSeveral
		case why == nil, err != nil && ours, isUnavailable(why): // or what says more about why not
			c.Token, caller, err = token, other, why
		}
	}
	return c, caller, err
}

// fromTokenHeader tells whose the token is that stands in a header of its issuer's. It
// counts as a cookie: whoever makes a browser send a request makes it send that too.
func (g *gate) fromTokenHeader(r *http.Request) (forward.Credential, *sessions.Caller, error) {
	found, err := g.inst.verifier.Find(r.Header)
	if err != nil {
		return forward.Credential{}, nil, err
	}
	caller, err := g.inst.verifier.VerifyFound(r.Context(), found)
	if err == nil {
		if cause := g.inst.open(r.Context()); cause != nil {
			caller, err = nil, fmt.Errorf("%w: %w", sessions.ErrUnavailable, cause)
		}
	}
	return forward.Credential{Token: found.Token, Cookie: true}, caller, err
}

// verify tells whose token it is, if it is one that the app is told of.
func (g *gate) verify(ctx context.Context, token string) (*sessions.Caller, error) {
	verify := g.inst.verifier.VerifyOwn
	if g.AcceptCallers {
		verify = g.inst.verifier.Verify
	}
	if cause := g.inst.open(ctx); cause != nil {
		return nil, g.unopened(ctx, token, verify, cause)
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

// unopened is verify while the store or the keys are not open: of a token that would have to be
// looked up, or would be good, nobody can say that it is. What is wrong with others is as ever.
func (g *gate) unopened(ctx context.Context, token string, verify func(context.Context, string) (*sessions.Caller, error), cause error) error {
	if ours, _ := forward.Claims(token, g.inst.issuer); !ours {
		if _, err := verify(ctx, token); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: %w", sessions.ErrUnavailable, cause)
}

// claimed reports whether a cookie of the name says that it is a token of ours.
func (g *gate) claimed(r *http.Request) bool {
	return slices.ContainsFunc(r.CookiesNamed(g.Cookie), func(cookie *http.Cookie) bool {
		ours, _ := forward.Claims(cookie.Value, g.inst.issuer)
		return ours
	})
}
