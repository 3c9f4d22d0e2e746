package observe

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func TestLimited_IsOneWarningAtATimeWithTheAddressAndTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.WarnLevel)
		r := &Reporter{issuer: "https://app.example.com", logger: zap.New(core)}
		ctx := context.WithValue(t.Context(), varsKey, map[string]any{clientIPVar: "192.0.2.1"})
		for range 100 {
			r.Limited(ctx, "gateway")
		}
		time.Sleep(limitedPause) // the bubble's
		r.Limited(ctx, "")
		lines := logs.All()
		if len(lines) != 2 {
			t.Fatalf("%d lines", len(lines))
		}
		first, next := lines[0].ContextMap(), lines[1].ContextMap()
		if first["client_ip"] != "192.0.2.1" || first["client_id"] != "gateway" || first["addresses"] != int64(1) {
			t.Errorf("%v", first)
		}
		if _, named := next["client_id"]; named || next["addresses"] != int64(100) {
			t.Errorf("%v", next)
		}
	})
}
