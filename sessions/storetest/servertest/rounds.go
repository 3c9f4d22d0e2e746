package servertest

import "os"

// long is the environment variable with which tests go as many rounds as .ci/run has them go.
const long = "AUTHSIDECAR_LONG_TESTS"

// Rounds is how often a test repeats what is up to chance: so often as most mistakes take to show
// and then some, and more where AUTHSIDECAR_LONG_TESTS=1 is in the environment.
func Rounds(usual, more int) int {
	if os.Getenv(long) == "1" {
		return more
	}
	return usual
}
