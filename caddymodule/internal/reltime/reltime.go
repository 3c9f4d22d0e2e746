// Package reltime formats times relative to now.
package reltime

import (
	"fmt"
	"time"
)

// Ago returns how long ago a time was, as in 3d4h ago; "" for the zero time.
func Ago(at, now time.Time) string {
	if at.IsZero() {
		return ""
	}
	return Span(now.Sub(at)) + " ago"
}

// Ahead returns when a time will be, in 12m30s or now; "" for the zero time.
func Ahead(at, now time.Time) string {
	switch {
	case at.IsZero():
		return ""
	case !at.After(now):
		return "now"
	default:
		return "in " + Span(at.Sub(now))
	}
}

const day = 24 * time.Hour

// Span formats a duration in its two largest units: 3d4h, 12m30s.
func Span(d time.Duration) string {
	d = max(d, 0).Round(time.Second)
	days := d / day
	switch rest := d % day; {
	case days > 0:
		return fmt.Sprintf("%dd%dh", days, rest/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	default:
		return d.String()
	}
}
