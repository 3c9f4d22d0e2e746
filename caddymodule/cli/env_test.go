package cli

import (
	"maps"
	"testing"
)

// A test of caddymodule asks Caddy itself to read the same file.
func TestParseEnv_ReadsAsCaddyDoes(t *testing.T) {
	got, err := parseEnv("# the secret\n\nexport IDP_TEST_SECRET=\"a b\"\nA_TEST=b # c\nB_TEST='x\\'\ny'\nC_TEST=\n  D_TEST=a=b\n")
	want := map[string]string{"IDP_TEST_SECRET": "a b", "A_TEST": "b", "B_TEST": "x'\ny", "C_TEST": "", "D_TEST": "a=b"}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}
