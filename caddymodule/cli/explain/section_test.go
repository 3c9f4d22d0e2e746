package explain

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Each section of the page about issuers is found by the issuers that its blocks trust, but for
// those that have nothing in their address which tells.
func TestExplain_FindsTheSectionOfEachIssuer(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/issuers.md")
	if err != nil {
		t.Fatal(err)
	}
	untold := []string{"Authelia", "Dex", "oidc-provider", "better-auth", "Ory Hydra", "SPIFFE"}
	trust := regexp.MustCompile(`(?m)^\s+trust (\S+) \{$`)
	found := 0
	for _, section := range strings.Split(string(page), "\n## ")[1:] {
		title, _, _ := strings.Cut(section, "\n")
		want := title
		if slices.Contains(untold, title) {
			want = ""
		}
		for _, block := range trust.FindAllStringSubmatch(section, -1) {
			found++
			if got := sectionOf(block[1]); got != want {
				t.Errorf("%s: section %q, want %q", block[1], got, want)
			}
		}
	}
	if found < 20 {
		t.Errorf("found %d blocks", found)
	}
	for _, issuer := range []string{"", "https://auth0.com.evil.example", "https://evil.example/x.auth0.com", "http://accounts.google.com", "https://idp.example.com"} {
		if got := sectionOf(issuer); got != "" {
			t.Errorf("%q is taken for %s", issuer, got)
		}
	}
}
