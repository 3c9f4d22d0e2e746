package caddymodule

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"authsidecar/caddymodule/identity"
	"authsidecar/caddymodule/observe"
	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/browser"
	"authsidecar/sessions/cors"
	"authsidecar/sessions/forward"
	"authsidecar/sessions/keyring"
	"authsidecar/sessions/logout"
	"authsidecar/sessions/streams"
)

// An instance is one issuer at work: what the handlers of that issuer share.
// It is built when the configuration is provisioned, without a look at the
// network or the disk's databases, and opened when the app starts or when the
// first request comes, whichever is sooner, or as soon as that can be done.
type instance struct {
	*observe.Reporter // of its events

	issuer string
	asJSON []byte // the handler it was made for
	logger *zap.Logger

	own      []endpoints
	cors     *cors.Policy
	verifier *bearer.Verifier
	manager  *sessions.Manager
	trust    []*trusted
	clients  []*trusted // those that authenticate by keys: their issuer is the client
	keys     *keyStore
	keyring  *keyring.Keyring
	rings    []ringPlan             // of those that are generated
	identity *identity.Middleware   // nil without the block
	cookies  *browser.Authenticator // the same
	links    *browser.Links         // the same
	logouts  *logout.Logouts        // nil: no issuer says who signed out

	tokenHeaders *forward.Names // where callers' tokens are, beside Authorization; nil: nowhere

	opener  StoreOpener
	opening *opening
	store   atomic.Pointer[openStore] // once ready
	ready   atomic.Bool
	release func() error
	forget  func() error // lets go of what OAuth requests left; nil: there is none
}

func newInstance(h *Handler) (*instance, error) {
	h.logger = observe.Remember(h.logger, h.Issuer)
	inst := &instance{
		issuer: h.Issuer, asJSON: h.asJSON, logger: h.logger,
		keys: newKeyStore(h.ctx.Storage(), h.Issuer), opener: h.store, tokenHeaders: h.TokenHeaders(), opening: newOpening(),
		cors: cors.New(h.CORS),
	}
	for _, add := range []func(*Handler) error{
		inst.addKeyring, inst.addVerifier, inst.addReports, inst.addManager,
		inst.addConsole, // before all others: its host is its own
		inst.addLogout, inst.addOAuth,
		inst.addBrowser, inst.addAPI, // they have all below their path
	} {
		if err := add(h); err != nil {
			return nil, err
		}
	}
	return inst, nil
}

// newIdentity makes the middleware that tells the app who sends a request; nil without identity.
func (inst *instance) newIdentity(h *Handler, browsers *browser.API) *identity.Middleware {
	if h.Identity == nil {
		return nil
	}
	return identity.New(identity.Config{
		Identity: h.Identity, Impersonation: h.Impersonation,
		Issuer: h.Issuer, TokenHeaders: inst.tokenHeaders, Logger: h.logger,
		Verifier: inst.verifier, Manager: inst.manager, Reports: inst.Reporter, Browser: browsers, SignOut: h.SignOuts(), Banner: inst.newBanner(h),
		Open: inst.open, Streams: func() *streams.Registry { return &inst.store.Load().streams },
	})
}

// addManager makes the manager; its store comes when the instance opens.
func (inst *instance) addManager(h *Handler) error {
	claims, claimsAge := h.KeptClaims()
	m := &sessions.Manager{
		Realm:         h.Issuer,
		Own:           h.Session.Lifetimes(),
		Impersonation: h.Impersonation.Lifetimes(),
		MaxPerUser:    *h.Session.MaxPerUser,
		Grace:         time.Duration(*h.RefreshToken.Grace),
		Trusted:       inst.verifier.Trust,
		SignIn:        h.SignInIssuer(),
		Observer:      observer{inst},
		Minter: &sessions.Minter{
			Issuer:          h.Issuer,
			RefreshAudience: h.Issuer + h.Path,
			AccessAudience:  h.AccessToken.Audience,
			AccessTTL:       time.Duration(h.AccessToken.TTL),
			Claims:          claims,
			ClaimsAge:       claimsAge,
			Keys:            inst.keyring,
			Console:         h.ConsoleOrigin(),
		},
	}
	m.Clients, m.Minter.Confidential = h.ClientNames()
	if h.Browser != nil {
		m.LinkTTL = time.Duration(h.Browser.Link)
	}
	inst.manager, inst.links = m, newLinks(h)
	inst.cookies = inst.newAuthenticator(h)
	return setRules(m, h)
}

// setRules gives the manager the rules of the configuration.
func setRules(m *sessions.Manager, h *Handler) error {
	var errs [4]error
	m.Policy, errs[0] = h.Policy()
	m.Shadow, errs[1] = h.ShadowPolicy()
	m.Manage, errs[2] = h.ManageRules()
	m.ReportClient, errs[3] = h.ReportRules()
	return cmp.Or(errs[:]...)
}

// open returns nil when the store and the keys are open. Otherwise it begins to open them, and
// returns why they are not yet.
func (inst *instance) open(ctx context.Context) error {
	if inst.ready.Load() {
		return nil
	}
	inst.opening.begin(inst)
	return inst.opening.wait(ctx)
}

// openKeys is open of the signing keys alone.
func (inst *instance) openKeys(ctx context.Context) error {
	if inst.ready.Load() {
		return nil
	}
	inst.opening.begin(inst)
	return inst.opening.waitKeys(ctx)
}

// try loads the keys and opens the store. Its first try, or a later one, may get no further than
// the signing keys, which are good for what needs no store.
func (inst *instance) try(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	for i := range inst.rings {
		if err := inst.keys.syncRing(ctx, &inst.rings[i]); err != nil {
			return err
		}
	}
	inst.opening.setKeys()
	secret, err := inst.keys.idSecret(ctx)
	if err != nil {
		return err
	}
	for _, t := range slices.Concat(inst.trust, inst.clients) {
		if t.load != nil {
			t.load(ctx)
		}
	}
	store, release, err := shareStore(ctx, inst.opener, inst.logger)
	if err != nil {
		return fmt.Errorf("opening the store: %w", err)
	}
	if err := inst.use(ctx, store, secret); err != nil {
		return errors.Join(err, release())
	}
	inst.release = release
	inst.store.Store(store)
	inst.ready.Store(true)
	store.observers.add(inst.issuer, observer{inst})
	inst.logger.Info("session store is open", zap.String("issuer", inst.issuer), zap.String("store", engineOf(inst.opener)), zap.String("location", locationOf(inst.opener)))
	return nil
}

// use prepares everything that works with the store.
func (inst *instance) use(ctx context.Context, store *openStore, secret []byte) error {
	inst.manager.Store, inst.manager.Revocations, inst.manager.IDSecret = store.store, &store.watch, secret
	inst.manager.Minter.StoreID = store.watch.Identity
	if err := store.watch.LoadCutoffs(ctx, inst.issuer); err != nil {
		return err
	}
	return inst.OpenAudit()
}

// moves reports whether the instance that is replaced uses another store.
func (inst *instance) moves(before *instance) bool {
	if before == nil || !before.ready.Load() {
		return false
	}
	was, err := before.opener.StoreKey()
	is, err2 := inst.opener.StoreKey()
	return err != nil || err2 != nil || was != is
}

func (inst *instance) close() error {
	inst.opening.end()
	inst.ready.Store(false)
	err := inst.CloseAudit()
	if inst.forget != nil {
		err = errors.Join(err, inst.forget())
	}
	if inst.release == nil {
		return err
	}
	inst.store.Load().observers.remove(inst.issuer, observer{inst})
	return errors.Join(err, inst.release())
}

// now returns the time of the store's clock, by which our own tokens are issued and verified,
// whatever this node's clock says.
func (inst *instance) now() time.Time {
	if inst.store.Load() == nil { // it never opened: there is no token that anybody could have
		return time.Now()
	}
	return inst.manager.Store.Now()
}
