package caddymodule_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"authsidecar/caddymodule/internal/sidecartest"
)

// scrape returns the metrics that the admin endpoint shows, by name and labels.
func (s *sidecar) scrape() map[string]string {
	s.t.Helper()
	req, err := http.NewRequest("GET", "http://"+s.Admin+"/metrics", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	got, err := s.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	sidecartest.WantStatus(s.t, got, 200)
	metrics := make(map[string]string)
	for line := range strings.Lines(got.Body) {
		if line = strings.TrimSuffix(line, "\n"); !strings.HasPrefix(line, "#") {
			at := strings.LastIndexByte(line, ' ')
			metrics[line[:at]] = line[at+1:]
		}
	}
	return metrics
}

// wantMetrics asserts values; a name without labels is of the first realm.
func wantMetrics(t *testing.T, got, want map[string]string) {
	t.Helper()
	for name, value := range want {
		full := "auth_sessions_" + strings.Replace(name, "{", `{realm="https://app.example.com",`, 1)
		if !strings.Contains(name, "{") {
			full += `{realm="https://app.example.com"}`
		}
		label, inner, _ := strings.Cut(full, "{")
		parts := strings.Split(strings.TrimSuffix(inner, "}"), ",")
		slices.Sort(parts) // as Prometheus writes them
		if inner != "" {
			full = label + "{" + strings.Join(parts, ",") + "}"
		}
		if got[full] != value {
			t.Errorf("%s is %q, want %s", full, got[full], value)
		}
	}
}

// sideBySide is a Caddyfile with two blocks side by side, the first with keys from a URL.
func sideBySide(s *sidecar, provider *sidecartest.IDP, app, keys string) string {
	first := strings.Replace(provider.Site(s.Sidecar, app, "lifecycle\n\t\taudit file DIR/audit.jsonl\n\t\tshadow allow claim dept night\n\t\timpersonation {\n\t\t\trequire_reason\n\t\t}"),
		"jwks DIR/jwks.json", "jwks "+keys, 1)
	second := strings.Replace(provider.Site(s.Sidecar, app, ""), "issuer https://app.example.com", "issuer https://other.example.com", 1)
	first = strings.Replace(first, "audience "+sidecartest.Audience, "audience "+sidecartest.Audience+"\n\t\t\tlogout desk", 1)
	return first + strings.Replace(second, "SITE", "http://127.0.0.2:"+sidecartest.PortOf(s.URL), 1)
}

// busy is a sidecar of two sites after traffic of every kind.
func busy(t *testing.T) (s *sidecar, config string, provider *sidecartest.IDP) {
	t.Helper()
	provider = sidecartest.NewIDP(t, "https://idp.example.com")
	keys := sidecartest.Serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(provider.JWKS())) })
	s = newSidecar(t)
	config = sideBySide(s, provider, sidecartest.Echo(t), keys)
	s.Start(config)
	desk := provider.Token("carol", map[string]any{"scope": "sessions:impersonate"})
	alice := provider.Token("alice", nil)
	for deadline := time.Now().Add(30 * time.Second); s.scrape()[`auth_sessions_live_sessions{kind="own",realm="https://app.example.com"}`] == ""; {
		if time.Now().After(deadline) {
			t.Fatal("nobody counts the sessions")
		}
	}
	own := s.Create(alice, `{"user_id":"alice"}`, "Idempotency-Key", "k")
	sidecartest.WantStatus(t, own, 200)
	s.Create(alice, `{"user_id":"alice"}`, "Idempotency-Key", "k")
	s.Create(alice, `{"user_id":"bob"}`)
	s.Create(desk, `{"user_id":"alice"}`)
	s.Create("", `{"user_id":"alice"}`)
	s.Create(provider.Token("alice", map[string]any{"aud": "other"}), `{"user_id":"alice"}`)
	acting := s.Create(desk, `{"user_id":"alice","reason":"ticket"}`)
	next := s.Refresh(own.Text("refresh_token"))
	s.Refresh(own.Text("refresh_token"))
	s.Refresh(next.Text("refresh_token"))
	s.Refresh(own.Text("refresh_token"))
	s.Refresh(own.Text("refresh_token"))
	s.Call("DELETE", "/current", acting.Text("access_token"), "")
	sidecartest.WantStatus(t, s.Create(alice, `{"user_id":"alice"}`), 200)
	return s, config, provider
}

var afterBusy = map[string]string{
	`creates_total{outcome="created"}`:                               "3",
	`creates_total{outcome="repeated"}`:                              "1",
	`creates_total{outcome="denied"}`:                                "2",
	`refreshes_total{outcome="ok"}`:                                  "2",
	`refreshes_total{outcome="retry"}`:                               "1",
	`refreshes_total{outcome="reuse"}`:                               "1",
	`refreshes_total{outcome="dead"}`:                                "1",
	`refreshes_total{outcome="store_behind"}`:                        "0",
	`rejections_total{reason="reason_required"}`:                     "1",
	`rejections_total{reason="denied"}`:                              "1",
	`rejections_total{reason="no_token"}`:                            "1",
	`rejections_total{reason="audience"}`:                            "1",
	`rejections_total{reason="invalid_grant"}`:                       "2",
	`revocations_total{reason="reuse"}`:                              "1",
	`revocations_total{reason="revoked"}`:                            "1",
	`shadow_decisions_total{outcome="denied"}`:                       "6",
	`live_sessions{kind="own"}`:                                      "1",
	`live_sessions{kind="impersonation"}`:                            "0",
	`deny_list_size`:                                                 "2",
	`feed_lag_seconds`:                                               "0",
	`feed_degraded_seconds`:                                          "0",
	`ready`:                                                          "1",
	`failures_total`:                                                 "0",
	`trusted_keys{trusted_issuer="https://idp.example.com"}`:         "1",
	`trusted_keys_failing{trusted_issuer="https://idp.example.com"}`: "0",
}

// Metrics count what happened, for each of two blocks, and go on over a reload.
func TestMetrics_CountAndSurviveAReload(t *testing.T) {
	t.Parallel()
	s, config, _ := busy(t)
	before := s.scrape()
	wantMetrics(t, before, afterBusy)
	if got := before[`auth_sessions_creates_total{outcome="created",realm="https://other.example.com"}`]; got != "0" {
		t.Errorf("the other block's are %q", got)
	}
	// A key set that is got again makes tokens be verified again.
	lookups := func(result string) float64 {
		return number(before[`auth_sessions_token_cache_lookups_total{realm="https://app.example.com",result="`+result+`"}`])
	}
	if hits, misses := lookups("hit"), lookups("miss"); hits < 1 || misses < 4 || hits+misses != 8 {
		t.Errorf("%v lookups hit and %v missed, of 8 tokens of 4 kinds", hits, misses)
	}
	for _, name := range []string{"trusted_keys_fetched_timestamp_seconds", "signing_key_since_timestamp_seconds"} {
		found := false
		for full, value := range before {
			if strings.HasPrefix(full, "auth_sessions_"+name+"{") {
				at, _ := strconv.ParseFloat(value, 64)
				found = found || time.Since(time.Unix(int64(at), 0)).Abs() < 3*time.Hour
			}
		}
		if !found {
			t.Errorf("%s is not near now", name)
		}
	}
	for range 3 {
		if err := s.Reload(config); err != nil {
			t.Fatal(err)
		}
	}
	var after map[string]string
	for deadline := time.Now().Add(30 * time.Second); ; { // keys come from the network again
		after = s.scrape()
		if after[`auth_sessions_trusted_keys{realm="https://app.example.com",trusted_issuer="https://idp.example.com"}`] == "1" || time.Now().After(deadline) {
			break
		}
	}
	wantMetrics(t, after, afterBusy)
	for _, op := range []string{"create", "get", "update", "list"} {
		name := `auth_sessions_store_duration_seconds_count{engine="pebble",operation="` + op + `"}`
		if was, is := number(before[name]), number(after[name]); is < was || op != "list" && was == 0 {
			t.Errorf("%s went from %v to %v", name, was, is)
		}
	}
}

func number(text string) float64 {
	n, _ := strconv.ParseFloat(text, 64)
	return n
}

// Labels are few, whoever calls: no user, key or address is one.
func TestMetrics_HaveFewSeries(t *testing.T) {
	t.Parallel()
	s, _, provider := busy(t)
	series := func() int {
		n := 0
		for name := range s.scrape() {
			if strings.HasPrefix(name, "auth_sessions_") {
				n++
			}
		}
		return n
	}
	before := series()
	for i := range 50 {
		n := strconv.Itoa(i)
		desk := provider.Token("carol", map[string]any{"scope": "sessions:impersonate", "client_id": "c" + n})
		sidecartest.WantStatus(t, s.Create(desk, `{"user_id":"user-`+n+`","reason":"r`+n+`"}`), 200)
		s.Create("x"+strconv.Itoa(i), `{}`)
	}
	if after := series(); after > before+1 { // one is the reason that is new
		t.Errorf("%d series became %d", before, after)
	}
	for name := range s.scrape() {
		if strings.HasPrefix(name, "auth_sessions_") && regexp.MustCompile(`alice|carol|user-|127\.0\.0\.1:`).MatchString(name) {
			t.Errorf("%s names somebody", name)
		}
	}
}

// A store that fails is counted, with the operation.
func TestMetrics_CountStoreErrors(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(provider.Site(s.Sidecar, sidecartest.Echo(t), "store test_switch DIR/down"))
	sidecartest.WantStatus(t, s.Create(provider.Token("alice", nil), `{"user_id":"alice"}`), 200)
	s.Write("down", "")
	sidecartest.WantProblem(t, s.Create(provider.Token("alice", nil), `{"user_id":"alice"}`), 503, "unavailable")
	got := s.scrape()
	if n := got[`auth_sessions_store_errors_total{engine="test_switch",operation="create"}`]; n != "1" {
		t.Errorf("store errors %q", n)
	}
	wantMetrics(t, got, map[string]string{`rejections_total{reason="unavailable"}`: "1", `failures_total`: "1"})
}

var metricName = regexp.MustCompile(`\bauth_sessions_[a-z_]+[a-z]`)

// Every metric that the dashboard and the alerts name, with each label that they name,
// is in a scrape of the real server, so that none of them waits for what never comes.
func TestMonitoring_NamesWhatIsScraped(t *testing.T) {
	t.Parallel()
	s, _, _ := busy(t)
	labels := make(map[string]map[string]bool) // by metric
	for full := range s.scrape() {
		name, rest, _ := strings.Cut(full, "{")
		if labels[name] == nil {
			labels[name] = make(map[string]bool)
		}
		for _, m := range regexp.MustCompile(`([a-z_]+)="`).FindAllStringSubmatch(rest, -1) {
			labels[name][m[1]] = true
		}
	}
	all := append(dashboardQueries(t), alertQueries(t)...)
	seen := make(map[string]bool)
	for _, query := range all {
		wantBalanced(t, query)
		names := metricName.FindAllString(query, -1)
		if len(names) == 0 {
			t.Errorf("no metric of ours in %s", query)
		}
		for _, name := range names {
			seen[name] = true
			if labels[name] == nil {
				t.Errorf("%s is in no scrape: %s", name, query)
				continue
			}
			for _, m := range regexp.MustCompile(`by \(([a-z_, ]+)\)|([a-z_]+)(?:=~?|!=)"`).FindAllStringSubmatch(query, -1) {
				for label := range strings.FieldsFuncSeq(m[1]+","+m[2], func(r rune) bool { return r == ',' || r == ' ' }) {
					if !labels[name][label] {
						t.Errorf("%s has no label %s: %s", name, label, query)
					}
				}
			}
		}
	}
	for name := range labels { // and what is measured is shown
		base := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
		if strings.HasPrefix(name, "auth_sessions_") && !slices.ContainsFunc(slices.Collect(maps.Keys(seen)), func(n string) bool { return strings.HasPrefix(n, base) }) {
			t.Errorf("%s is nowhere in the dashboard", name)
		}
	}
}

func wantBalanced(t *testing.T, query string) {
	t.Helper()
	for _, pair := range []string{"()", "{}", "[]"} {
		if strings.Count(query, pair[:1]) != strings.Count(query, pair[1:]) {
			t.Errorf("%s is not balanced in %s", pair, query)
		}
	}
}

func monitoring(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", ".github", "monitoring", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func dashboardQueries(t *testing.T) (queries []string) {
	t.Helper()
	var dashboard struct {
		Title  string
		UID    string
		Panels []struct {
			ID      int
			Title   string
			Type    string
			GridPos struct{ H, W, X, Y int }
			Targets []struct{ Expr, RefID string }
		}
		Templating struct{ List []struct{ Definition string } }
	}
	if err := json.Unmarshal(monitoring(t, "grafana.json"), &dashboard); err != nil {
		t.Fatal(err)
	}
	ids := make(map[int]bool)
	for _, p := range dashboard.Panels {
		if p.Title == "" || p.Type == "" || ids[p.ID] || p.GridPos.W == 0 || p.GridPos.H == 0 || len(p.Targets) == 0 {
			t.Errorf("panel %+v", p)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			queries = append(queries, target.Expr)
		}
	}
	for _, variable := range dashboard.Templating.List {
		if variable.Definition != "" {
			queries = append(queries, regexp.MustCompile(`label_values\((\w+), (\w+)\)`).ReplaceAllString(variable.Definition, "min by ($2) ($1)"))
		}
	}
	if dashboard.Title == "" || dashboard.UID == "" || len(queries) < 17 {
		t.Errorf("dashboard %q %q with %d queries", dashboard.Title, dashboard.UID, len(queries))
	}
	return queries
}

type alertRule struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         time.Duration     `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func alertQueries(t *testing.T) (queries []string) {
	t.Helper()
	names := make(map[string]bool)
	for _, rule := range alertRules(t) {
		if names[rule.Alert] || rule.Alert == "" || rule.Labels["severity"] == "" || rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
			t.Errorf("rule %+v", rule)
		}
		names[rule.Alert] = true
		queries = append(queries, rule.Expr)
	}
	for _, name := range []string{"AuthSessionsReuse", "AuthSessionsKeysStale", "AuthSessionsStoreErrors", "AuthSessionsFeedDown", "AuthSessionsImpersonationWithoutReason"} {
		if !names[name] {
			t.Errorf("no alert %s", name)
		}
	}
	return queries
}

func alertRules(t *testing.T) (rules []alertRule) {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string      `yaml:"name"`
			Rules []alertRule `yaml:"rules"`
		} `yaml:"groups"`
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(monitoring(t, "alerts.yml"))))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		t.Fatal(err)
	}
	for _, group := range file.Groups {
		rules = append(rules, group.Rules...)
	}
	return rules
}
