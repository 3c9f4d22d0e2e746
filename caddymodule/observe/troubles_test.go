package observe

import (
	"errors"
	"fmt"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// The last error of each kind is kept, whatever the log's level is, and the log still has it.
func TestTroublesKeepTheLastErrorOfEachKind(t *testing.T) {
	t.Parallel()
	const realm = "https://troubles.example.com"
	core, logged := observer.New(zapcore.WarnLevel)
	logger := Remember(zap.New(core), realm).Named("store")
	for i := range 3 {
		logger.Error("the disk", zap.Error(fmt.Errorf("failure %d", i)))
	}
	logger.With(zap.String("issuer", "x")).Error("the feed", zap.String("error", "lost"))
	logger.Warn("a warning", zap.Error(errors.New("is none")))
	got := Troubles(realm)
	if len(got) != 2 || got[0].What != "the feed" || got[0].Error != "lost" || got[1].Error != "failure 2" || got[1].At.IsZero() {
		t.Errorf("%+v", got)
	}
	if logged.Len() != 5 {
		t.Errorf("the log has %d lines", logged.Len())
	}
	if others := Troubles("https://other.example.com"); others == nil || len(others) > 0 {
		t.Errorf("another realm has %+v", others)
	}
	for i := range 100 {
		logger.Error(fmt.Sprintf("kind %d", i))
	}
	if got := Troubles(realm); len(got) != maxTroubles || got[0].What != "kind 99" {
		t.Errorf("%d are kept, the newest %+v", len(got), got[0])
	}
}
