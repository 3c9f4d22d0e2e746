package observe

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"authsidecar/sessions"
	"authsidecar/sessions/browser/banner"
	"authsidecar/sessions/event"
	"authsidecar/sessions/logout"
)

// The metrics. Their labels are bounded: the issuer of a block (realm), its trusted issuers, and
// words of ours, never a user, key or address. Counters belong to the process, so a reload does not
// reset them; gauges are computed from the running configuration (gauges.go).
var (
	creates = newCounter("creates_total",
		"Requests for a session that were decided, by outcome: created, repeated (the same again, by its Idempotency-Key), denied.", "realm", "outcome")
	opens = newCounter("links_opened_total",
		"Links of pending sessions that were presented, by outcome: opened, denied (good for nothing, or not in that browser), policy (today's rules deny it: the session was revoked).", "realm", "outcome")
	refreshes = newCounter("refreshes_total",
		"Refresh tokens of sessions that were presented, by outcome: ok, retry (the same successor again, within the grace period), reuse (a used one: the session was revoked), store_behind (ahead of the store: the session was revoked), policy (today's rules deny it: the session was revoked), dead (the session was over).", "realm", "outcome")
	revocations = newCounter("revocations_total",
		"Sessions that were revoked, by reason: revoked, replaced (by a newer one of the same user), reuse, store_behind, policy, logout (their issuer said so).", "realm", "reason")
	expirations = newCounter("expirations_total", "Sessions that expired, and were swept by this process.", "realm")
	rejections  = newCounter("rejections_total",
		"Requests that were refused or failed, by reason: of bearer tokens what is wrong with them, else the kind of answer.", "realm", "reason")
	failures        = newCounter("failures_total", "Operations on sessions that failed for reasons of ours: the store, or signing keys.", "realm")
	shadowDecisions = newCounter("shadow_decisions_total", "What shadow rules would have decided: allowed, denied.", "realm", "outcome")
	acts            = newCounter("impersonated_requests_total", "Unsafe requests of impersonated sessions that reached the app.", "realm")
	cacheLookups    = newCounter("token_cache_lookups_total", "Bearer tokens that were verified, by whether they were in the cache: hit, miss.", "realm", "result")
	shadowRefusals  = newCounter("shadow_refusals_total", "Requests that identity would have refused, were it not in shadow mode, by reason.", "realm", "reason")
	issuerEvents    = newCounter("issuer_events_total", "Events that trusted issuers sent, by kind (backchannel-logout, session-revoked, ...) and outcome: revoked (sessions ended), matched_nothing, repeated, logged, ignored, refused, failed.", "realm", "kind", "outcome")
	banners         = newCounter("banners_total", "Pages that an impersonated session in cookies asked for, by what became of the bar on them: added, policy (the page's Content-Security-Policy would not let it work), encoded, charset, type (no HTML), partial, failed (an error page of others).", "realm", "outcome")
	auditErrors     = newCounter("audit_errors_total", "Audit lines that could not be written.", "realm")

	storeSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: metricsNamespace, Name: "store_duration_seconds",
		Help:    "How long operations of the store took, by engine and operation.",
		Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5},
	}, []string{"engine", "operation"})
	storeErrors = newCounter("store_errors_total", "Operations of the store that failed, by engine and operation. What a client cancelled is not counted.", "engine", "operation")
)

const metricsNamespace = "auth_sessions"

func newCounter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: metricsNamespace, Name: name, Help: help}, labels)
}

// Register registers the metrics with the registry of a configuration. blocks returns the
// reporters of its blocks.
func Register(registry *prometheus.Registry, blocks func() []*Reporter) error {
	all := []prometheus.Collector{
		creates, opens, refreshes, revocations, expirations, rejections, failures, shadowDecisions, acts, cacheLookups, auditErrors, shadowRefusals, issuerEvents, banners,
		storeSeconds, storeErrors, &gauges{blocks: blocks},
	}
	for _, c := range all {
		var known prometheus.AlreadyRegisteredError
		if err := registry.Register(c); err != nil && !errors.As(err, &known) {
			return err
		}
	}
	return nil
}

// showZeros exports the counters of a realm from the start, as 0, so that the first increase is
// visible. refusals are further reasons of rejections.
func showZeros(realm string, refusals []string) {
	zeros := []struct {
		counter *prometheus.CounterVec
		words   []string
	}{
		{creates, []string{"created", "repeated", "denied"}},
		{opens, []string{"opened", "denied", "policy"}},
		{refreshes, []string{"ok", "retry", "reuse", "store_behind", "policy", "dead"}},
		{revocations, []string{string(sessions.EndRevoked), string(sessions.EndReplaced), string(sessions.EndReuse), string(sessions.EndStoreBehind), string(sessions.EndPolicy), string(logout.EndLogout)}},
		{shadowDecisions, []string{"allowed", "denied"}},
		{banners, []string{string(banner.Added), string(banner.Policy), string(banner.Encoded), string(banner.Charset), string(banner.Type), string(banner.Partial), string(banner.Failed)}},
		{shadowRefusals, []string{reasonNoToken}},
		{rejections, append([]string{reasonRequired, reasonUnavailable, reasonInternal}, refusals...)},
	}
	for _, z := range zeros {
		for _, word := range z.words {
			z.counter.WithLabelValues(realm, word)
		}
	}
	for _, counter := range []*prometheus.CounterVec{expirations, failures, acts, auditErrors} {
		counter.WithLabelValues(realm)
	}
}

// count counts an event.
func count(realm string, e *sessions.Event) {
	switch e.Kind {
	case event.Created, event.Repeated:
		creates.WithLabelValues(realm, string(e.Kind)).Inc()
	case event.Opened:
		opens.WithLabelValues(realm, string(e.Kind)).Inc()
	case event.Denied:
		countDenied(realm, e.Err)
	case event.Shadowed:
		outcome := "allowed"
		if e.Err != nil {
			outcome = "denied"
		}
		shadowDecisions.WithLabelValues(realm, outcome).Inc()
	case event.Refreshed:
		refreshes.WithLabelValues(realm, "ok").Inc()
	case event.Retried:
		refreshes.WithLabelValues(realm, "retry").Inc()
	case event.Reuse, event.StoreBehind:
		refreshes.WithLabelValues(realm, string(e.Kind)).Inc()
		revocations.WithLabelValues(realm, string(e.Kind)).Inc()
	case event.Revoked:
		switch {
		case errors.Is(e.Err, sessions.ErrGrant):
			refreshes.WithLabelValues(realm, "policy").Inc()
		case isLinkError(e.Err):
			opens.WithLabelValues(realm, "policy").Inc()
		}
		revocations.WithLabelValues(realm, string(e.Session.EndReason)).Inc()
	case event.Expired:
		expirations.WithLabelValues(realm).Inc()
	case event.Failed:
		failures.WithLabelValues(realm).Inc()
	}
}

// countDenied counts a denied request.
func countDenied(realm string, err error) {
	switch {
	case errors.Is(err, sessions.ErrGrant):
		refreshes.WithLabelValues(realm, "dead").Inc()
	case isLinkError(err):
		opens.WithLabelValues(realm, "denied").Inc()
	default:
		creates.WithLabelValues(realm, "denied").Inc()
	}
}

// isLinkError reports whether a link was presented.
func isLinkError(err error) bool {
	return errors.Is(err, sessions.ErrLink) || errors.Is(err, sessions.ErrOpener)
}
