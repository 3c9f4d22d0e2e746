package interop

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"authsidecar/sessions/storetest/servertest"
)

// accessible fails where axe-core finds anything on the page that keeps people out.
func accessible(t *testing.T, b *browser, what string) {
	t.Helper()
	script, err := os.ReadFile(filepath.Join(foreign(), "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		servertest.Missing(t, "axe-core", "npm ci --prefix caddymodule/docs/testdata/issuers, at the top of the repository")
	}
	found := run[[]string](b, string(script)+`
		const done = await axe.run(document);
		if (!done.passes.length) throw new Error("it looked at nothing");
		return done.violations.map((v) => v.id + ": " + v.nodes.map((n) => n.target.join(" ") + " " + n.failureSummary).join("; "));`)
	if len(found) > 0 {
		t.Errorf("%s: %s", what, strings.Join(found, "\n"))
	}
}
