package jose

import (
	"os/exec"
	"strings"
	"testing"

	"authsidecar/sessions/storetest/servertest"
)

func TestV9_NothingLinksEncryptionOrTheLaxParser(t *testing.T) {
	tool, err := exec.LookPath("go")
	if err != nil {
		servertest.Missing(t, "go command", "put it into PATH, to list what is linked")
	}
	out, err := exec.CommandContext(t.Context(), tool, "list", "-e", "-deps", "authsidecar/sessions/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	linked := map[string]bool{}
	for name := range strings.Lines(string(out)) {
		linked[strings.TrimSpace(name)] = true
	}
	const jwx = "github.com/lestrrat-go/jwx/v2"
	if !linked[jwx+"/jws"] || !linked["authsidecar/sessions/jose"] {
		t.Fatal("the list is not of this module")
	}
	for _, name := range []string{jwx, jwx + "/jwe", jwx + "/jwt", jwx + "/jwe/internal/content_crypt"} {
		if linked[name] {
			t.Errorf("%s is linked", name)
		}
	}
}
