package docs

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
	"authsidecar/sessions/storetest/servertest"
)

// A realIssuer is the software of an issuer, as a process of its own.
type realIssuer struct {
	url string
	// browser is what people sign in with; nil is a new one each time.
	browser *http.Client
}

// nodeIssuer starts the issuer of an npm package, with more of the environment.
func nodeIssuer(t *testing.T, name string, env ...string) *realIssuer {
	t.Helper()
	const dir = "testdata/issuers"
	if _, err := exec.LookPath("node"); err != nil {
		servertest.Missing(t, "Node", "apt-get install nodejs npm")
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", name)); err != nil {
		servertest.Missing(t, name, "npm ci --prefix caddymodule/docs/"+dir+", at the top of the repository")
	}
	return startIssuer(t, exec.Command("node", filepath.Join(dir, name+".mjs")), env)
}

// zitadelIssuer builds and starts the issuer of Zitadel's library, a module of its own: what it
// requires is none of ours.
func zitadelIssuer(t *testing.T, env ...string) *realIssuer {
	t.Helper()
	const dir = "testdata/zitadel"
	file := filepath.Join(t.TempDir(), "zitadel")
	build := exec.Command("go", "build", "-o", file, ".")
	build.Dir = dir
	build.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=-mod=readonly")
	if out, err := build.CombinedOutput(); strings.Contains(string(out), "GOPROXY=off") {
		servertest.Missing(t, "Zitadel's library", "go -C caddymodule/docs/"+dir+" mod download, at the top of the repository")
	} else if err != nil {
		t.Fatalf("building it: %v\n%s", err, out)
	}
	return startIssuer(t, exec.Command(file), env)
}

func startIssuer(t *testing.T, cmd *exec.Cmd, env []string) *realIssuer {
	t.Helper()
	cmd.Env = append(os.Environ(), env...)
	return &realIssuer{url: servertest.Printed(t, cmd)[0]}
}

// ask sends a request to the issuer; header has names and values in turn.
func (i *realIssuer) ask(t *testing.T, method, path, contentType, body string, header ...string) sidecartest.Answer {
	t.Helper()
	req, err := http.NewRequest(method, i.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for n := 0; n+1 < len(header); n += 2 {
		req.Header.Set(header[n], header[n+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := sidecartest.Read(resp)
	if err != nil {
		t.Fatal(err)
	}
	sidecartest.WantStatus(t, got, http.StatusOK)
	return got
}
