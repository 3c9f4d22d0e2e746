package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"os"
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
	"authsidecar/sessions/httpapi"
	"authsidecar/sessions/jose"
	"authsidecar/sessions/keyring"
	"authsidecar/sessions/logout"
	"authsidecar/sessions/streams"
)

// An instance is one issuer at work: what the handlers of that issuer share.
// It is built when the configuration is provisioned, without a look at the
// network or the disk's databases, and opened when the app starts or when the
// first request comes, whichever is sooner, or as soon as that can be done.
type instance struct {
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
	signing  []observe.Ring
	rings    []ringPlan // of them, those that are generated
	reports  *observe.Reporter
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

// A ringPlan is a ring of generated keys and when they change.
type ringPlan struct {
	name string
	ring *keyring.Ring
	plan keyring.Schedule
}

// ownLeeway is how far two nodes may be apart in what they think that the store's clock
// says.
const ownLeeway = 2 * time.Second

func newInstance(h *Handler) (*instance, error) {
	h.logger = observe.Remember(h.logger, h.Issuer)
	inst := &instance{
		issuer: h.Issuer, asJSON: h.asJSON, logger: h.logger,
		keys: newKeyStore(h.ctx.Storage(), h.Issuer), opener: h.store, tokenHeaders: h.TokenHeaders(), opening: newOpening(),
		cors: cors.New(h.CORS),
	}
	keys, err := inst.newKeyring(h)
	if err != nil {
		return nil, err
	}
	if inst.verifier, err = inst.newVerifier(h, keys.Access); err != nil {
		return nil, err
	}
	if err := inst.newReports(h); err != nil {
		return nil, err
	}
	if inst.manager, err = inst.newManager(h, keys); err != nil {
		return nil, err
	}
	inst.links = newLinks(h)
	inst.cookies = inst.newAuthenticator(h)
	browsers, err := inst.newBrowser(h)
	if err != nil {
		return nil, err
	}
	inst.identity = inst.newIdentity(h, browsers)
	if err := inst.addConsole(h, keys); err != nil { // before all others: its host is its own
		return nil, err
	}
	if err := inst.addLogout(h); err != nil {
		return nil, err
	}
	if err := inst.addOAuth(h, keys); err != nil { // before those that have all below their path
		return nil, err
	}
	if browsers != nil {
		inst.own = append(inst.own, browsers)
	}
	api, err := inst.newAPI(h, keys)
	inst.own = append(inst.own, api)
	return inst, err
}

// newIdentity makes what tells the app who asks; nil without identity.
func (inst *instance) newIdentity(h *Handler, browsers *browser.API) *identity.Middleware {
	if h.Identity == nil {
		return nil
	}
	return identity.New(identity.Config{
		Identity: h.Identity, Impersonation: h.Impersonation,
		Issuer: h.Issuer, TokenHeaders: inst.tokenHeaders, Logger: h.logger,
		Verifier: inst.verifier, Manager: inst.manager, Reports: inst.reports, Browser: browsers, SignOut: h.SignOuts(), Banner: inst.newBanner(h),
		Open: inst.open, Streams: func() *streams.Registry { return &inst.store.Load().streams },
	})
}

// newAPI makes what answers on the path and below it.
func (inst *instance) newAPI(h *Handler, keys *keyring.Keyring) (*httpapi.API, error) {
	c := httpapi.Config{
		Path: h.Path, Verifier: inst.verifier, Manager: inst.manager,
		Lifecycle: h.Lifecycle, KeySet: h.PublishesKeys(), Keys: keys.Access.Public, KeysMaxAge: keyCache,
		CrossSite: forward.CrossSite, ClientIP: observe.ClientIP, RequestID: observe.RequestID, Observer: observer{inst},
	}
	if len(h.Trust) == 1 {
		c.ActorIssuer = h.Trust[0].Issuer
	}
	if inst.cookies != nil {
		cookies := browser.Cookies{Authenticator: inst.cookies}
		c.Cookies, c.Deliver = cookies, browser.Handover{Cookies: cookies, Links: inst.links, Path: h.Path}
	}
	var err error
	if h.OpenAPI {
		c.OpenAPI, err = description(&h.Block)
	}
	return httpapi.New(c), err
}

// newManager makes the manager; its store comes when the instance opens.
func (inst *instance) newManager(h *Handler, keys *keyring.Keyring) (*sessions.Manager, error) {
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
			Keys:            keys,
			Console:         h.ConsoleOrigin(),
		},
	}
	m.Clients, m.Minter.Confidential = h.ClientNames()
	if h.Browser != nil {
		m.LinkTTL = time.Duration(h.Browser.Link)
	}
	return m, setRules(m, h)
}

// setRules gives the manager the rules of the configuration.
func setRules(m *sessions.Manager, h *Handler) (err error) {
	if m.Policy, err = h.Policy(); err != nil {
		return err
	}
	if m.Shadow, err = h.ShadowPolicy(); err != nil {
		return err
	}
	if m.Manage, err = h.ManageRules(); err != nil {
		return err
	}
	m.ReportClient, err = h.ReportRules()
	return err
}

// newKeyring makes the rings of signing keys: of the operator's key files, or to
// be filled from the storage when the instance opens.
func (inst *instance) newKeyring(h *Handler) (*keyring.Keyring, error) {
	keys := keyring.New()
	longest := max(time.Duration(h.Session.MaxTTL), time.Duration(h.Impersonation.MaxTTL), keyKeep)
	uses := []struct {
		name, file, algorithm string
		ring                  *keyring.Ring
		keep                  time.Duration
	}{
		{"refresh", h.RefreshToken.Key, h.RefreshToken.Algorithm, keys.Refresh, longest},
		{"access", h.AccessToken.Key, h.AccessToken.Algorithm, keys.Access, time.Duration(h.AccessToken.TTL) + keyCache},
	}
	for _, use := range uses {
		algorithm, err := jose.ParseAlgorithm(use.algorithm)
		if err != nil {
			return nil, fmt.Errorf("%s_token: %w", use.name, err)
		}
		inst.signing = append(inst.signing, observe.Ring{Use: use.name, Keys: use.ring, Generated: use.file == ""})
		if use.file != "" {
			if err := setKeyFile(use.ring, use.file, algorithm); err != nil {
				return nil, fmt.Errorf("%s_token: key %s: %w", use.name, use.file, err)
			}
			continue
		}
		inst.rings = append(inst.rings, ringPlan{name: use.name, ring: use.ring, plan: keyring.Schedule{
			Algorithm: algorithm, Rotate: time.Duration(*h.SigningKeys.Rotate), Publish: keyPublish(), Keep: use.keep,
		}})
	}
	return keys, nil
}

func setKeyFile(ring *keyring.Ring, file string, algorithm jose.Algorithm) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return errors.Unwrap(err) // the path is in the message already
	}
	key, err := jose.ParsePrivate(data, algorithm)
	if err != nil {
		return err
	}
	return ring.Set([]keyring.Record{{Key: key}})
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

// use prepares what works with the store.
func (inst *instance) use(ctx context.Context, store *openStore, secret []byte) error {
	inst.manager.Store, inst.manager.Revocations, inst.manager.IDSecret = store.store, &store.watch, secret
	inst.manager.Minter.StoreID = store.watch.Identity
	if err := store.watch.LoadCutoffs(ctx, inst.issuer); err != nil {
		return err
	}
	return inst.reports.Open()
}

// moves reports whether another store serves the issuer, by the instance that is replaced.
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
	err := inst.reports.Close()
	if inst.forget != nil {
		err = errors.Join(err, inst.forget())
	}
	if inst.release == nil {
		return err
	}
	inst.store.Load().observers.remove(inst.issuer, observer{inst})
	return errors.Join(err, inst.release())
}

// now is the store's clock, which the times of our own tokens are by, whatever that of this
// node says.
func (inst *instance) now() time.Time {
	if inst.store.Load() == nil { // it never opened: there is no token that anybody could have
		return time.Now()
	}
	return inst.manager.Store.Now()
}

// newVerifier makes the verifier of callers' tokens. It knows our own access
// tokens too, to tell who presents one.
func (inst *instance) newVerifier(h *Handler, own *keyring.Ring) (*bearer.Verifier, error) {
	config := bearer.Config{Observer: observer{inst}, Issuers: []bearer.Issuer{inst.ownIssuer(own, h.AccessToken.Audience)}}
	for _, t := range h.Trust {
		made, err := newTrusted(h.ctx, h.logger, t)
		if err != nil {
			return nil, fmt.Errorf("trust %s: %w", t.Issuer, err)
		}
		inst.trust = append(inst.trust, made)
		config.Issuers = append(config.Issuers, made.issuer)
	}
	return bearer.New(config)
}

// ownIssuer returns how our own access tokens are verified that are for that audience.
func (inst *instance) ownIssuer(keys *keyring.Ring, audience []string) bearer.Issuer {
	return bearer.Issuer{Name: inst.issuer, Keys: keys, Audiences: audience, Own: true, Leeway: ownLeeway, Now: inst.now}
}
