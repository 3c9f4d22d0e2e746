package observe

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// gauges are metrics that are computed from the running configuration when they are scraped.
type gauges struct{ blocks func() []*Reporter }

func newGauge(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(metricsNamespace, "", name), help, labels, nil)
}

var (
	readyGauge    = newGauge("ready", "Whether the store and the signing keys are open.", "realm")
	liveGauge     = newGauge("live_sessions", "Sessions that are not over, by kind (own, impersonation): an estimate, counted in the background every 5 minutes (a large store less often), and updated in between by what this process does.", "realm", "kind")
	denyListGauge = newGauge("deny_list_size", "Revoked sessions and cutoffs in the deny list, whose access tokens are refused.", "realm")
	feedLagGauge  = newGauge("feed_lag_seconds", "How long ago the feed of other nodes' revocations was last heard; 0 if the store has none.", "realm")
	degradedGauge = newGauge("feed_degraded_seconds", "For how long this node has been degraded: it cannot hear other nodes' revocations; 0 while it can.", "realm")
	signingGauge  = newGauge("signing_key_since_timestamp_seconds", "Since when the current signing key signs, by use (refresh, access).", "realm", "use")

	trustedKeysGauge    = newGauge("trusted_keys", "Keys of a trusted issuer that are in use.", "realm", "trusted_issuer")
	trustedFetchedGauge = newGauge("trusted_keys_fetched_timestamp_seconds", "When the keys of a trusted issuer were fetched last.", "realm", "trusted_issuer")
	trustedUsableGauge  = newGauge("trusted_keys_usable_until_timestamp_seconds", "Until when the keys of a trusted issuer are used, unless they are fetched again.", "realm", "trusted_issuer")
	trustedFailingGauge = newGauge("trusted_keys_failing", "Whether the last fetch of the keys of a trusted issuer failed.", "realm", "trusted_issuer")
)

// Describe names the gauges.
func (*gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		readyGauge, liveGauge, denyListGauge, feedLagGauge, degradedGauge, signingGauge,
		trustedKeysGauge, trustedFetchedGauge, trustedUsableGauge, trustedFailingGauge,
	} {
		ch <- d
	}
}

// Collect computes them.
func (g *gauges) Collect(ch chan<- prometheus.Metric) {
	for _, r := range g.blocks() {
		show := func(d *prometheus.Desc, value float64, more ...string) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, append([]string{r.issuer}, more...)...)
		}
		r.block.showGauges(r.issuer, show)
	}
}

func (b *Block) showGauges(realm string, show func(*prometheus.Desc, float64, ...string)) {
	b.showTrusted(show)
	if !b.Ready() {
		show(readyGauge, 0)
		return
	}
	show(readyGauge, 1)
	watch := b.Watch()
	show(denyListGauge, float64(watch.Deny.Len()))
	show(feedLagGauge, watch.FeedAge().Seconds())
	show(degradedGauge, watch.Degraded().Seconds())
	if n, ok := b.Live().Of(realm); ok {
		show(liveGauge, float64(n.Own), "own")
		show(liveGauge, float64(n.Impersonated), "impersonation")
	}
	for _, r := range b.Rings {
		if key, err := r.Keys.Signing(time.Now()); err == nil && !key.From.IsZero() {
			show(signingGauge, seconds(key.From), r.Use)
		}
	}
}

func (b *Block) showTrusted(show func(*prometheus.Desc, float64, ...string)) {
	for _, issuer := range b.Trusted {
		status, known := keysOf(issuer)
		if !known {
			continue
		}
		show(trustedKeysGauge, float64(len(status.Keys)), issuer.Name)
		if !status.FetchedAt.IsZero() {
			show(trustedFetchedGauge, seconds(status.FetchedAt), issuer.Name)
		}
		if !status.UsableUntil.IsZero() {
			show(trustedUsableGauge, seconds(status.UsableUntil), issuer.Name)
		}
		failing := 0.0
		if status.Error != "" {
			failing = 1
		}
		show(trustedFailingGauge, failing, issuer.Name)
	}
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// Interface guard
var _ prometheus.Collector = (*gauges)(nil)
