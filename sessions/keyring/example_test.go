package keyring_test

import (
	"fmt"
	"time"

	"authsidecar/sessions/jose"
	"authsidecar/sessions/keyring"
)

// A key signs for 30 days. The next one is published an hour before it takes over, and
// the old one verifies for as long as a token that it signed can live.
func Example() {
	schedule := keyring.Schedule{
		Algorithm: jose.ES256,
		Rotate:    30 * 24 * time.Hour,
		Publish:   time.Hour,
		Keep:      24 * time.Hour,
	}
	ring := keyring.NewRing(keyring.AccessTokenType)
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

	var records []keyring.Record
	for _, now := range []time.Time{start, start.AddDate(0, 0, 29).Add(23 * time.Hour), start.AddDate(0, 0, 30), start.AddDate(0, 0, 32)} {
		planned, changed, err := schedule.Plan(records, now)
		if err != nil {
			panic(err)
		}
		if changed { // this is when the records are stored
			records = planned
		}
		if err := ring.Set(records); err != nil {
			panic(err)
		}
		fmt.Print(now.Format("Jan 2 15:04"), ":")
		for _, key := range ring.Describe(now) {
			fmt.Print(" ", key.State)
		}
		fmt.Println()
	}
	// Output:
	// Jan 1 00:00: signing
	// Jan 30 23:00: signing next
	// Jan 31 00:00: retired signing
	// Feb 2 00:00: signing
}
