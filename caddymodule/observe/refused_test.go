package observe

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"authsidecar/sessions/bearer"
)

// A line a second for each reason and issuer says how many there were; issuers that somebody
// makes up are one, however many.
func TestRefusedLog_IsALineASecondForEachKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.InfoLevel)
		l := refusedLog{logger: zap.New(core), issuer: "https://app.example.com", mend: noMend, kinds: make(map[refusedKind]*refusedCount)}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go l.run(ctx)
		const each, seconds = 100, 5
		for i := range each * seconds {
			time.Sleep(time.Second / each) // the bubble's
			l.count(&bearer.Refusal{Reason: bearer.ReasonUnknownIssuer, Claimed: fmt.Sprint("https://", i)}, "192.0.2.1", "")
			l.count(fmt.Errorf("verifying: %w", &bearer.Refusal{Reason: bearer.ReasonAudience, Issuer: "https://idp.example.com"}), "192.0.2.1", "")
			l.count(&bearer.Refusal{Reason: bearer.ReasonExpired, Issuer: "https://app.example.com"}, "192.0.2.1", "")
			l.count(bearer.ErrNoToken, "192.0.2.1", "")
			if len(l.kinds) != 2 {
				t.Fatalf("%d kinds are remembered", len(l.kinds))
			}
		}
		cancel()
		synctest.Wait()
		lines, counts := map[string]int{}, map[string]int64{}
		for _, entry := range logs.All() {
			fields := entry.ContextMap()
			reason := fields["reason"].(string)
			lines[reason]++
			counts[reason] += fields["count"].(int64)
		}
		for _, reason := range []string{"unknown_issuer", "audience"} {
			if lines[reason] < seconds-1 || lines[reason] > seconds+1 || counts[reason] != each*seconds {
				t.Errorf("%s: %d lines tell of %d", reason, lines[reason], counts[reason])
			}
		}
		if len(lines) != 2 {
			t.Errorf("lines %v", lines)
		}
	})
}

func TestRefusedLog_ForgetsWhatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.InfoLevel)
		l := refusedLog{logger: zap.New(core), mend: noMend, kinds: make(map[refusedKind]*refusedCount)}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go l.run(ctx)
		for range 3 {
			l.count(bearer.ErrMalformed, "192.0.2.1", "")
			time.Sleep(10 * time.Second) // the bubble's
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.kinds) != 0 || logs.Len() != 3 {
			t.Errorf("%d kinds are remembered, and %d lines written", len(l.kinds), logs.Len())
		}
	})
}

// What stands in the log for a name that anybody may have made up is short, and of one line in
// any terminal.
func TestL2_MadeUpIssuersAreEncoded(t *testing.T) {
	for name, want := range map[string]string{
		"https://idp.example.com/":  "https://idp.example.com/",
		"a\nb\x1b[2J\u202e\x00":     "a%0Ab%1B[2J%E2%80%AE%00",
		strings.Repeat("x", 10_000): strings.Repeat("x", maxClaimedIssuer) + "...",
	} {
		if got := claimedIssuer(name); got != want {
			t.Errorf("%q is logged as %q", name, got)
		}
	}
	if got := claimedIssuer("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"); strings.Contains(got, "eyJ") {
		t.Errorf("a token is logged: %q", got)
	}
}

func noMend(bearer.Reason, string) string { return "" }
