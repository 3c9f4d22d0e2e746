package storetest

import (
	"testing"
	"time"

	"authsidecar/sessions"
)

func TestMemoryKeepsTheContract(t *testing.T) {
	Run(t, func(_ *testing.T, now func() time.Time) sessions.Store { return &Memory{Clock: now} })
}
