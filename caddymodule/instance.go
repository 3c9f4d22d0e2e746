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

// An instance is what all handlers of one issuer share. It is created when the configuration is
// provisioned, without accessing the network or a database. It is opened when the app starts or at
// the first request, whichever comes first, or as soon as that succeeds.
type instance struct {
	*observe.Reporter // of its events

	issuer string
	asJSON []byte // the handler that it was created for
	logger *zap.Logger

	own      []endpoints
	cors     *cors.Policy
	verifier *bearer.Verifier
	manager  *sessions.Manager
	trust    []*trusted
	clients  []*trusted // those that authenticate with keys: the client is the issuer of these
	keys     *keyStore
	keyring  *keyring.Keyring
	rings    []ringPlan             // of generated keys
	identity *identity.Middleware   // nil without identity
	cookies  *browser.Authenticator // nil without browser
	links    *browser.Links         // nil without browser
	logouts  *logout.Logouts        // nil if no issuer reports logouts

	tokenHeaders *forward.Names // headers with callers' tokens, beside Authorization; nil for none

	opener        StoreOpener
	opening       *opening
	store         atomic.Pointer[openStore] // set once open
	ready         atomic.Bool
	release       func() error
	releaseMemory func() error // releases the memory of OAuth requests; nil if there is none
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
		inst.addConsole, // first, since it has its own host
		inst.addLogout, inst.addOAuth,
		inst.addBrowser, inst.addAPI, // they own everything below their path
	} {
		if err := add(h); err != nil {
			return nil, err
		}
	}
	return inst, nil
}

// newIdentity creates the middleware that tells the app who sends a request; nil without identity.
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

// addManager creates the manager; its store is set when the instance opens.
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

// setRules sets the configured rules of the manager.
func setRules(m *sessions.Manager, h *Handler) error {
	var errs [4]error
	m.Policy, errs[0] = h.Policy()
	m.Shadow, errs[1] = h.ShadowPolicy()
	m.Manage, errs[2] = h.ManageRules()
	m.ReportClient, errs[3] = h.ReportRules()
	return cmp.Or(errs[:]...)
}

// open returns nil if the store and the keys are open. Otherwise it starts to open them, and
// returns why they are not open yet.
func (inst *instance) open(ctx context.Context) error {
	if inst.ready.Load() {
		return nil
	}
	inst.opening.begin(inst)
	return inst.opening.wait(ctx)
}

// openKeys is open for the signing keys alone.
func (inst *instance) openKeys(ctx context.Context) error {
	if inst.ready.Load() {
		return nil
	}
	inst.opening.begin(inst)
	return inst.opening.waitKeys(ctx)
}

// tryOpen loads the keys and opens the store. An attempt may open only the signing keys, which
// suffices for requests that do not need the store.
func (inst *instance) tryOpen(ctx context.Context) error {
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

// use prepares everything that uses the store.
func (inst *instance) use(ctx context.Context, store *openStore, secret []byte) error {
	inst.manager.Store, inst.manager.Revocations, inst.manager.IDSecret = store.store, &store.watch, secret
	inst.manager.Minter.StoreID = store.watch.Identity
	if err := store.watch.LoadCutoffs(ctx, inst.issuer); err != nil {
		return err
	}
	return inst.OpenAudit()
}

// changesStore reports whether the instance that is replaced uses another store.
func (inst *instance) changesStore(before *instance) bool {
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
	if inst.releaseMemory != nil {
		err = errors.Join(err, inst.releaseMemory())
	}
	if inst.release == nil {
		return err
	}
	inst.store.Load().observers.remove(inst.issuer, observer{inst})
	return errors.Join(err, inst.release())
}

// now returns the time of the store's clock, with which our own tokens are issued and verified,
// whatever this node's clock says.
func (inst *instance) now() time.Time {
	if inst.store.Load() == nil { // never opened: nobody can have a token
		return time.Now()
	}
	return inst.manager.Store.Now()
}
