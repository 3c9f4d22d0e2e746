package reltime

import (
	"testing"
	"time"
)

func TestSpan_IsAsPeopleThink(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 1500 * time.Millisecond: "2s", 90 * time.Second: "1m30s", 2*time.Hour + 5*time.Minute: "2h5m",
		26 * time.Hour: "1d2h", 365 * day: "365d0h",
	} {
		if got := Span(d); got != want {
			t.Errorf("%s is %s, want %s", d, got, want)
		}
	}
	now := time.Now()
	if Ago(time.Time{}, now) != "" || Ahead(time.Time{}, now) != "" || Ahead(now.Add(-1), now) != "now" || Ahead(now.Add(time.Minute), now) != "in 1m0s" || Ago(now.Add(-time.Minute), now) != "1m0s ago" {
		t.Error("times are told otherwise")
	}
}
