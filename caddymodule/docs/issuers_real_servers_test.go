package docs

import (
	"bufio"
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
)

// needServers in the environment makes a missing issuer a failure. Without, the test is skipped.
const needServers = "AUTHSIDECAR_NEED_SERVERS"

func missing(t *testing.T, what, install string) {
	t.Helper()
	message := "no " + what + " here; at the top of the repository run: " + install
	if os.Getenv(needServers) != "" {
		t.Fatal(message)
	}
	t.Skip(message)
}

// A realIssuer is the software of an issuer, as a process of its own.
type realIssuer struct {
	url string
}

// nodeIssuer starts the issuer of an npm package.
func nodeIssuer(t *testing.T, name string) *realIssuer {
	t.Helper()
	const dir = "testdata/issuers"
	if _, err := exec.LookPath("node"); err != nil {
		missing(t, "Node", "apt-get install nodejs npm")
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", name)); err != nil {
		missing(t, name, "npm ci --prefix caddymodule/docs/"+dir)
	}
	return startIssuer(t, exec.Command("node", filepath.Join(dir, name+".mjs")))
}

// zitadelIssuer builds and starts the issuer of Zitadel's library, a module of its own: what it
// requires is none of ours.
func zitadelIssuer(t *testing.T) *realIssuer {
	t.Helper()
	const dir = "testdata/zitadel"
	file := filepath.Join(t.TempDir(), "zitadel")
	build := exec.Command("go", "build", "-o", file, ".")
	build.Dir = dir
	build.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=-mod=readonly")
	if out, err := build.CombinedOutput(); strings.Contains(string(out), "GOPROXY=off") {
		missing(t, "module of Zitadel's library", "go -C caddymodule/docs/"+dir+" mod download")
	} else if err != nil {
		t.Fatalf("building it: %v\n%s", err, out)
	}
	return startIssuer(t, exec.Command(file))
}

// startIssuer runs an issuer, which prints its port and ends when its standard input does.
func startIssuer(t *testing.T, cmd *exec.Cmd) *realIssuer {
	t.Helper()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := func() {
		_ = stdin.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	port, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		stop()
		t.Fatalf("%v: %v\n%s", cmd.Args, err, said.String())
	}
	t.Cleanup(stop)
	return &realIssuer{url: "http://127.0.0.1:" + strings.TrimSpace(port)}
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
