//go:build !race

package sessions

// underRace reports whether the race detector watches: see race_test.go.
const underRace = false
