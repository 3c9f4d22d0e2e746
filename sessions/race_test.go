//go:build race

package sessions

// underRace reports whether the race detector watches. It makes what follows a single goroutine
// eight times as slow and finds nothing there, so that such tests follow less then; .ci/run has
// them follow more without the detector.
const underRace = true
