package caddymodule_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"authsidecar/sessions/storetest/servertest"
)

// A recording is what Prometheus has scraped: for each series its value before and after, the first
// for calmMinutes, the second from then on.
type recording map[string][2]string

const (
	calmMinutes = 30
	allMinutes  = 60
)

// record returns what two scrapes become in Prometheus, which adds labels of its own. Times are
// relative to the beginning of the recording, where promtool's clock starts.
func record(before, after map[string]string) recording {
	made := make(recording)
	now := float64(time.Now().Unix())
	for series, last := range after {
		if !strings.HasPrefix(series, "auth_sessions_") {
			continue
		}
		first := before[series]
		if strings.Contains(series, "_timestamp_seconds{") {
			first = strconv.FormatFloat(number(last)-now, 'f', 0, 64)
			last = first
		}
		made[strings.TrimSuffix(series, "}")+`,instance="caddy:2019",job="caddy"}`] = [2]string{first, last}
	}
	return made
}

// with returns a recording in which the series that match the pattern go on with a value.
func (r recording) with(t *testing.T, pattern, value string) recording {
	t.Helper()
	changed := maps.Clone(r)
	for series := range r {
		if regexp.MustCompile(pattern).MatchString(series) {
			changed[series] = [2]string{r[series][0], value}
			if value == growing {
				changed[series] = [2]string{r[series][0], r[series][0] + growing}
			}
			return changed
		}
	}
	t.Fatalf("no series is like %s", pattern)
	return nil
}

// series are the input of promtool.
func (r recording) series() (all []map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(r)) {
		first, last := r[name][0], r[name][1]
		all = append(all, map[string]string{
			"series": name,
			"values": fmt.Sprintf("%sx%d %sx%d", first, calmMinutes-1, last, allMinutes-calmMinutes),
		})
	}
	return all
}

// promtool runs the tests of a rule file.
func promtool(t *testing.T, tests ...map[string]any) {
	t.Helper()
	tool := servertest.Find(t, "prometheus", "promtool")
	dir := t.TempDir()
	alerts, err := filepath.Abs(filepath.Join("..", ".github", "monitoring", "alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	file, err := yaml.Marshal(map[string]any{"rule_files": []string{alerts}, "evaluation_interval": "1m", "tests": tests})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "test.yml")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"check", "rules", alerts}, {"test", "rules", path}} {
		if out, err := exec.CommandContext(t.Context(), tool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// Every query of the dashboard has a number to show over recorded traffic, as Prometheus itself
// evaluates it.
func TestMonitoring_PrometheusEvaluatesTheDashboard(t *testing.T) {
	t.Parallel()
	s, _, _ := busy(t)
	after := s.scrape()
	var checks []map[string]any
	for _, query := range dashboardQueries(t) {
		query = strings.NewReplacer("$realm", ".+", "$__rate_interval", "5m").Replace(query)
		checks = append(checks, map[string]any{
			"expr":        "count((" + query + ") == (" + query + ")) > bool 0", // NaN is nothing to show
			"eval_time":   strconv.Itoa(calmMinutes+2) + "m",
			"exp_samples": []map[string]any{{"labels": "{}", "value": 1}},
		})
	}
	promtool(t, map[string]any{"interval": "1m", "input_series": record(zeros(after), after).series(), "promql_expr_test": checks})
}

// zeros returns what the counters of a scrape are when the server starts.
func zeros(scrape map[string]string) map[string]string {
	first := maps.Clone(scrape)
	for series := range first {
		if name, _, _ := strings.Cut(series, "{"); regexp.MustCompile(`_(total|bucket|sum|count)$`).MatchString(name) {
			first[series] = "0"
		}
	}
	return first
}

// growing is a counter that goes on by 3 a minute.
const growing = "+3"

// Each alert fires on what it is for, names whom it is about, and is silent in ordinary traffic.
func TestMonitoring_PrometheusFiresEachAlert(t *testing.T) {
	t.Parallel()
	s, _, _ := busy(t)
	scrape := s.scrape()
	scrape[`auth_sessions_store_errors_total{engine="pebble",operation="create"}`] = "0"
	calm := record(scrape, scrape) // what happened is over: from here on nothing increases
	const realm = `\{.*realm="https://app.example.com"`
	fires := map[string]struct{ series, value string }{
		"AuthSessionsReuse":                      {`^auth_sessions_refreshes_total\{outcome="reuse",realm="https://app`, growing},
		"AuthSessionsStoreBehind":                {`^auth_sessions_refreshes_total\{outcome="store_behind",realm="https://app`, growing},
		"AuthSessionsKeysFailing":                {`^auth_sessions_trusted_keys_failing` + realm, "1"},
		"AuthSessionsKeysStale":                  {`^auth_sessions_trusted_keys_usable_until_timestamp_seconds` + realm, "7200"},
		"AuthSessionsStoreErrors":                {`^auth_sessions_store_errors_total\{`, growing},
		"AuthSessionsStoreSlow":                  {`^auth_sessions_store_duration_seconds_bucket\{.*operation="update",le="\+Inf"`, growing},
		"AuthSessionsLogoutsMatchNothing":        {`^auth_sessions_issuer_events_total\{kind="backchannel-logout",outcome="matched_nothing",realm="https://app`, growing},
		"AuthSessionsIssuerTokensRefused":        {`^auth_sessions_issuer_events_total\{kind="backchannel-logout",outcome="refused",realm="https://app`, growing},
		"AuthSessionsFeedDown":                   {`^auth_sessions_feed_degraded_seconds` + realm, "30"},
		"AuthSessionsImpersonationWithoutReason": {`^auth_sessions_rejections_total\{.*realm="https://app.example.com",reason="reason_required"`, growing},
		"AuthSessionsAuditFailing":               {`^auth_sessions_audit_errors_total` + realm, growing},
		"AuthSessionsFailures":                   {`^auth_sessions_failures_total` + realm, growing},
		"AuthSessionsInternalErrors":             {`^auth_sessions_rejections_total\{.*realm="https://app.example.com",reason="internal"`, growing},
		"AuthSessionsNotReady":                   {`^auth_sessions_ready` + realm, "0"},
	}
	tests := []map[string]any{calm.evaluate(`ALERTS`, nil)}
	for _, rule := range alertRules(t) {
		cause, known := fires[rule.Alert]
		if !known {
			t.Errorf("no series is known that makes %s fire", rule.Alert)
			continue
		}
		tests = append(tests, calm.with(t, cause.series, cause.value).evaluate(`count by (alertname) (`+rule.firing()+`) and on () count(ALERTS) == 1`,
			map[string]any{"labels": `{alertname="` + rule.Alert + `"}`, "value": 1}))
	}
	promtool(t, tests...)
}

// evaluate is a test of what a query has to say at the end of a recording; nil is nothing.
func (r recording) evaluate(query string, want map[string]any) map[string]any {
	check := map[string]any{"expr": query, "eval_time": strconv.Itoa(allMinutes-5) + "m"}
	if want != nil {
		check["exp_samples"] = []map[string]any{want}
	}
	return map[string]any{"interval": "1m", "input_series": r.series(), "promql_expr_test": []map[string]any{check}}
}

// firing is a query for the alert, once it has the labels that its texts name.
func (rule *alertRule) firing() string {
	matchers := []string{`alertstate="firing"`, `alertname="` + rule.Alert + `"`}
	for _, label := range regexp.MustCompile(`\$labels\.(\w+)`).FindAllStringSubmatch(rule.Annotations["summary"]+rule.Annotations["description"], -1) {
		matchers = append(matchers, label[1]+`!=""`)
	}
	return "ALERTS{" + strings.Join(matchers, ",") + "}"
}
