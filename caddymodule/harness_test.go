package caddymodule_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "authsidecar/caddymodule"
	"authsidecar/sessions/jose"
)

// asCaddy in the environment makes the test binary the real Caddy with our
// module: tests start it as a process of its own.
const asCaddy = "AUTHSIDECAR_TEST_AS_CADDY"

func TestMain(m *testing.M) {
	if os.Getenv(asCaddy) != "" {
		caddycmd.Main()
		return
	}
	os.Exit(m.Run())
}

// A sidecar is a running Caddy with our module.
type sidecar struct {
	t     testing.TB
	dir   string // HOME, XDG_* and working directory
	words string // more of the global block, a line each
	admin string
	url   string // of the site
	cmd   *exec.Cmd
	log   *syncBuffer
	logs  []*syncBuffer // of all its runs
	done  chan struct{}
}

type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// ports that freePort gave away.
var ports sync.Map

// freePort returns a port of the loopback that was free a moment ago, and that no other
// test was given. It is below those that systems choose for whoever asks for any (from
// 32768 or 49152 on): the app of a test beside this one would get it before Caddy opens it.
func freePort(t testing.TB) string {
	t.Helper()
	for range 1000 {
		port := strconv.Itoa(10_000 + rand.IntN(22_000))
		if _, taken := ports.LoadOrStore(port, true); taken {
			continue
		}
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return ""
}

// newSidecar prepares a sidecar whose files are in dir. In its Caddyfile, SITE
// stands for the address of the site, and DIR for dir.
func newSidecar(t testing.TB, dir string) *sidecar {
	t.Helper()
	s := &sidecar{t: t, dir: dir, admin: "127.0.0.1:" + freePort(t), url: "http://127.0.0.1:" + freePort(t)}
	t.Cleanup(func() {
		s.kill()
		s.wantNoToken()
	})
	return s
}

func (s *sidecar) render(caddyfile string) string {
	return withoutTokens() + "{\n\tadmin " + s.admin + "\n\tdefault_bind 127.0.0.1\n\tauto_https off\n\tlog {\n\t\timport without_tokens\n\t\tlevel DEBUG\n\t}\n" + s.words + "}\n" +
		strings.NewReplacer("SITE", "http://:"+port(s.url), "DIR", s.dir).Replace(caddyfile)
}

// port returns the port of a URL.
func port(url string) string { return url[strings.LastIndexByte(url, ':')+1:] }

func (s *sidecar) command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), asCaddy+"=1", "HOME="+s.dir, "XDG_DATA_HOME="+s.dir+"/data", "XDG_CONFIG_HOME="+s.dir+"/config")
	return cmd
}

func (s *sidecar) write(name, text string) string {
	s.t.Helper()
	file := filepath.Join(s.dir, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return file
}

// start runs the process and returns when the site answers.
func (s *sidecar) start(caddyfile string) {
	s.t.Helper()
	if err := s.tryStart(caddyfile); err != nil {
		s.t.Fatalf("%v\n%s", err, s.log)
	}
}

// run runs the process.
func (s *sidecar) run(caddyfile string) {
	s.t.Helper()
	file := s.write("Caddyfile", s.render(caddyfile))
	s.cmd, s.log, s.done = s.command("run", "--config", file, "--adapter", "caddyfile"), new(syncBuffer), make(chan struct{})
	s.logs = append(s.logs, s.log)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func(cmd *exec.Cmd, done chan struct{}) {
		_ = cmd.Wait()
		close(done)
	}(s.cmd, s.done)
}

// waitLog returns when the text is in the log, which comes through a pipe.
func (s *sidecar) waitLog(text string) {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(s.log.String(), text); {
		if time.Now().After(deadline) {
			s.t.Fatalf("%q is not in the log:\n%s", text, s.log)
		}
		time.Sleep(time.Millisecond) // polling what another process writes
	}
}

// startRefused runs the process, which is to end by itself, and returns what it
// said.
func (s *sidecar) startRefused(caddyfile string) string {
	s.t.Helper()
	s.run(caddyfile)
	select {
	case <-s.done:
	case <-time.After(time.Minute):
		s.t.Fatalf("it started:\n%s", s.log)
	}
	if s.cmd.ProcessState.Success() {
		s.t.Fatalf("it ended well:\n%s", s.log)
	}
	return s.log.String()
}

func (s *sidecar) tryStart(caddyfile string) error {
	s.run(caddyfile)
	return s.wait()
}

// wait returns when the site answers, or the process has ended.
func (s *sidecar) wait() error {
	address := strings.TrimPrefix(s.url, "http://")
	for {
		select {
		case <-s.done:
			return fmt.Errorf("caddy ended: %v", s.cmd.ProcessState)
		default:
		}
		conn, err := net.Dial("tcp", address)
		if err == nil {
			return conn.Close()
		}
		time.Sleep(5 * time.Millisecond) // polling a port that somebody else opens
	}
}

// kill ends the process as a power cut would.
func (s *sidecar) kill() { s.signal(syscall.SIGKILL) }

// stop ends it as an operator would.
func (s *sidecar) stop() { s.signal(syscall.SIGTERM) }

func (s *sidecar) signal(sig os.Signal) {
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Signal(sig)
		<-s.done
	}
}

// reload gives the running process another configuration.
func (s *sidecar) reload(caddyfile string) error {
	file := s.write("Caddyfile", s.render(caddyfile))
	out, err := s.command("reload", "--config", file, "--adapter", "caddyfile", "--address", s.admin, "--force").CombinedOutput()
	if err != nil {
		return fmt.Errorf("reloading: %w\n%s", err, out)
	}
	http.DefaultClient.CloseIdleConnections() // Caddy closes them too, sooner or later
	return nil
}

// An idp is an identity provider that signs with one key.
type idp struct {
	t      testing.TB
	issuer string
	key    *jose.PrivateKey
}

func newIDP(t testing.TB, issuer string) *idp {
	t.Helper()
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	return &idp{t: t, issuer: issuer, key: key}
}

// jwks returns the provider's key set.
func (i *idp) jwks() string {
	i.t.Helper()
	jwk, err := i.key.Public().PublicJWK()
	if err != nil {
		i.t.Fatal(err)
	}
	return `{"keys":[` + string(jwk) + `]}`
}

// token mints an access token; claims replace or, with nil, remove the usual
// ones.
func (i *idp) token(subject string, claims map[string]any) string {
	i.t.Helper()
	now := time.Now()
	all := map[string]any{
		"iss": i.issuer, "sub": subject, "aud": audience, "client_id": "desk",
		"iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
	}
	for name, value := range claims {
		all[name] = value
		if value == nil {
			delete(all, name)
		}
	}
	body, err := json.Marshal(all)
	if err != nil {
		i.t.Fatal(err)
	}
	token, err := i.key.Sign([]byte(`{"alg":"ES256","kid":"`+i.key.ID()+`","typ":"at+jwt"}`), body)
	if err != nil {
		i.t.Fatal(err)
	}
	remember(token)
	return token
}

const audience = "https://app.example.com/auth/sessions"

// site is a Caddyfile with our module in front of app, trusting the provider by
// a key file; more words of the block can follow.
func (i *idp) site(s *sidecar, app, words string) string {
	s.write("jwks.json", i.jwks())
	return fmt.Sprintf(`SITE {
	auth_sessions {
		issuer https://app.example.com
		trust %s {
			jwks DIR/jwks.json
			audience %s
		}
		allow self
		allow scope sessions:impersonate
		%s
	}
	reverse_proxy %s
}
`, i.issuer, audience, words, strings.TrimPrefix(app, "http://"))
}

// echo is an app that tells what reached it.
func echo(t testing.TB) *httptest.Server {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-App", "echo")
		fmt.Fprintf(w, "%s %s\n", r.Method, r.RequestURI)
		_ = r.Header.Write(w)
		fmt.Fprintf(w, "\n%s", body)
	}))
	t.Cleanup(app.Close)
	return app
}

// An answer is a response, read.
type answer struct {
	status int
	header http.Header
	body   string
	fields map[string]any // of a JSON body
}

// create asks for a session.
func create(t testing.TB, base, token, body string, header ...string) answer {
	t.Helper()
	got, err := tryCreate(base, token, body, header...)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func tryCreate(base, token, body string, header ...string) (answer, error) {
	req, err := http.NewRequest("POST", base+"/auth/sessions", strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header[header[i]] = []string{header[i+1]}
	}
	return do(req)
}

func do(req *http.Request) (answer, error) {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	got := answer{status: resp.StatusCode, header: resp.Header, body: string(data)}
	_ = json.Unmarshal(data, &got.fields)
	rememberAll(got.fields)
	return got, nil
}

// decodePart returns a JSON part of a token, unverified: 0 the header, 1 the
// claims.
func decodePart(t testing.TB, token string, part int) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%d parts in a token", len(parts))
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[part])
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		t.Fatal(err)
	}
	return fields
}

// newServer serves f on the loopback and returns its URL.
func newServer(t testing.TB, f http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return server.URL
}

// awaitInForce returns when the configuration of the process is in force.
func (s *sidecar) awaitInForce() {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); s.ask("GET", "status").status == 503; {
		if time.Now().After(deadline) {
			s.t.Fatalf("it is still starting:\n%s", s.log)
		}
		time.Sleep(time.Millisecond) // polling what another process does in its own time
	}
}

// ask sends a request to the admin endpoint.
func (s *sidecar) ask(method, path string, header ...string) answer {
	s.t.Helper()
	req, err := http.NewRequest(method, "http://"+s.admin+"/auth_sessions/"+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	got, err := do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

// An outcome is what a command printed, and whether it ended well.
type outcome struct {
	out, err string
	ok       bool
}

// sessionsCommand runs caddy auth-sessions with these words, for the sidecar.
func (s *sidecar) sessionsCommand(stdin string, args ...string) outcome {
	s.t.Helper()
	return s.runSessions(func(cmd *exec.Cmd) { cmd.Stdin = strings.NewReader(stdin) }, args...)
}

func (s *sidecar) runSessions(change func(*exec.Cmd), args ...string) outcome {
	s.t.Helper()
	cmd := s.command(append([]string{"auth-sessions"}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	change(cmd)
	err := cmd.Run()
	return outcome{out.String(), errs.String(), err == nil}
}

// adminCommand runs a command against the sidecar's admin endpoint and expects success.
func (s *sidecar) adminCommand(args ...string) string {
	s.t.Helper()
	got := s.sessionsCommand("", append([]string{args[0], "--address", s.admin}, args[1:]...)...)
	if !got.ok {
		s.t.Fatalf("%v: %s%s", args, got.out, got.err)
	}
	return got.out
}
