package interop

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"authsidecar/caddymodule/internal/sidecartest"
	"authsidecar/sessions/storetest/servertest"
)

// The hosts of the site of a story: the app's, the one on which people may act as others, and the console.
const siteName, asName, consoleName = "app.example.com", "as.example.com", "sessions.example.com"

// A story is a site that a browser trusts, over HTTPS, at which people sign in by a real provider.
type story struct {
	*sidecartest.Sidecar
	*recording

	t        *testing.T
	app      *curiousApp
	tool     *tool
	provider string
	audit    string // its file
	netLog   string // the browser's file
	profile  string // the browser's folder
	first    *browser
}

// newStory starts everything. front is a proxy in front of the site; nil: there is none. more are words of
// browser, in which AS and CONSOLE stand for the origins of the other hosts.
func newStory(t *testing.T, front *lossyProxy, more ...string) *story {
	t.Helper()
	if _, err := os.Stat(filepath.Join(foreign(), "node_modules", "oidc-provider")); err != nil {
		servertest.Missing(t, "oidc-provider", "npm ci --prefix caddymodule/docs/testdata/issuers, at the top of the repository")
	}
	s := &story{Sidecar: sidecartest.New(t), recording: newRecording(), t: t, app: newCuriousApp(t)}
	own, roots := s.certify()
	site := "127.0.0.1:" + sidecartest.PortOf(s.URL)
	address := site
	if front != nil {
		address = front.start(t, site, own, roots)
	}
	s.URL = "https://" + siteName + ":" + sidecartest.PortOf(address)
	s.Client.Transport = &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}
	s.tool = newTool(t, s)
	cmd := exec.Command("node", filepath.Join(foreign(), "oidc-provider.mjs"))
	cmd.Env = append(os.Environ(), "SIGN_IN_SITE="+strings.Join([]string{s.URL, s.at(asName), s.at(consoleName)}, " "), "TOOL="+s.tool.URL,
		"BACKCHANNEL_LOGOUT_URI=https://"+site+"/auth/sessions/backchannel-logout", "NODE_EXTRA_CA_CERTS="+filepath.Join(s.Dir, "ca.pem"))
	s.provider = servertest.Printed(t, cmd)[0]
	s.audit = filepath.Join(s.Dir, "audit.jsonl")
	s.Global = "\tservers {\n\t\tprotocols h1 h2\n\t}\n" // HTTP/3 would take a port that nobody reserved
	names := fmt.Sprintf("https://%[1]s:%[4]s, https://%[2]s:%[4]s, https://%[3]s:%[4]s, https://%[5]s", siteName, asName, consoleName, sidecartest.PortOf(site), site)
	s.Start(strings.NewReplacer("'", "`", "AS", s.at(asName), "CONSOLE", s.at(consoleName)).Replace(fmt.Sprintf(storySite, names, strings.Join(more, "\n\t\t\t"), s.URL, s.provider, strings.TrimPrefix(s.app.URL, "http://"))))
	s.first = s.openBrowser()
	return s
}

// at returns the origin of a host.
func (s *story) at(host string) string { return strings.Replace(s.URL, siteName, host, 1) }

const storySite = `%[1]s {
	tls DIR/site.pem DIR/site.key
	log
	auth_sessions {
		issuer %[3]s
		trust %[4]s {
			audience https://app.example.com/auth/sessions
			logout public-site
		}
		allow self
		allow expression 'caller.sub == "carol"'
		access_token {
			ttl 1s
		}
		impersonation {
			deny /billing/*
		}
		lifecycle
		manage expression 'caller.sub == "olivia"'
		identity {
			require
			end_streams
		}
		browser {
			sign_in %[4]s {
				client_id public-site
			}
			%[2]s
		}
		audit file DIR/audit.jsonl
	}
	reverse_proxy %[5]s
}
`

// certify makes a certificate authority and the certificate of the site.
func (s *story) certify() (own tls.Certificate, roots *x509.CertPool) {
	s.t.Helper()
	must := func(err error) {
		s.t.Helper()
		if err != nil {
			s.t.Fatal(err)
		}
	}
	sign := func(cert, by *x509.Certificate, key, with *ecdsa.PrivateKey) []byte {
		cert.NotBefore, cert.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, cert, by, key.Public(), with)
		must(err)
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a story's authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	caPEM := sign(ca, ca, key, key)
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: []string{siteName, asName, consoleName}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	leafPEM := sign(leaf, ca, key, key)
	der, err := x509.MarshalECPrivateKey(key)
	must(err)
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	s.Write("ca.pem", string(caPEM))
	s.Write("site.pem", string(leafPEM))
	s.Write("site.key", string(keyPEM))
	own, err = tls.X509KeyPair(leafPEM, keyPEM)
	must(err)
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(caPEM)
	return own, roots
}

// openBrowser starts a browser that knows the site's name, trusts its authority, and logs what it
// does on the network.
func (s *story) openBrowser() *browser {
	s.t.Helper()
	certutil := servertest.Find(s.t, "libnss3-tools", "certutil")
	home := s.t.TempDir()
	trusted := filepath.Join(home, ".pki", "nssdb") // where Chromium looks on Linux
	if err := os.MkdirAll(trusted, 0o700); err != nil {
		s.t.Fatal(err)
	}
	for _, args := range [][]string{{"-N", "--empty-password"}, {"-A", "-n", "story", "-t", "C,,", "-i", filepath.Join(s.Dir, "ca.pem")}} {
		if out, err := exec.Command(certutil, append(args, "-d", "sql:"+trusted)...).CombinedOutput(); err != nil {
			s.t.Fatalf("certutil %v: %v\n%s", args, err, out)
		}
	}
	s.netLog, s.profile = filepath.Join(home, "net.json"), filepath.Join(home, "profile")
	b := newBrowser(s.t, chromedp.Env("HOME="+home), chromedp.UserDataDir(s.profile), chromedp.Flag("host-resolver-rules", "MAP *.example.com 127.0.0.1"), chromedp.Flag("log-net-log", s.netLog))
	s.record(b)
	return b
}

// somebody opens a browser for another person: without anything that others have.
func (s *story) somebody() *browser {
	s.t.Helper()
	b := s.first.tab(chromedp.WithNewBrowserContext())
	s.record(b)
	return b
}

// another opens another tab of the same person's.
func (s *story) another(b *browser) *browser {
	s.t.Helper()
	tab := b.tab()
	s.record(tab)
	return tab
}

// submit fills in the first form of a page and sends it.
func (b *browser) submit(fill string) {
	b.t.Helper()
	run[bool](b, fill+`; setTimeout(() => document.querySelector("form").requestSubmit(), 0); return true`)
}

// signIn has somebody who was sent to the provider sign in there, and let the client know who they are.
func (b *browser) signIn(name string) {
	b.t.Helper()
	b.until("Sign-in")
	b.submit(`document.querySelector("[name=login]").value = ` + quote(name) + `; document.querySelector("[name=password]").value = "any"`)
	b.consent()
}

// consent lets a client of the provider know who somebody is.
func (b *browser) consent() {
	b.t.Helper()
	b.until("Authorize")
	b.submit("")
}

// signOut has somebody who signed out, and was sent to the provider, sign out there too.
func (b *browser) signOut() {
	b.t.Helper()
	b.until("sign-out from")
	run[bool](b, `setTimeout(() => document.querySelector("[name=logout]").click(), 0); return true`)
	b.until("You are signed out")
}
