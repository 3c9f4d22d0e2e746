package bearer

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Whom we ask over the network, and where they may lead us.

const maxRedirects = 3

var (
	errURL        = errors.New("not an absolute https URL without user and fragment")
	errRedirect   = errors.New("redirected to another origin, or too often")
	errDiscovered = errors.New("discovery document leads from https to http, or to an address of this machine or its link: if that is right, configure the URL of the keys")
)

// NewClient returns what asks the servers of an issuer. It follows redirects at the origin that
// was asked alone, and keeps no cookies. roots are whom to believe that they are the issuer; nil:
// whom the system believes.
func NewClient(roots *x509.CertPool) *http.Client {
	return &http.Client{Transport: defaultTransport(roots), CheckRedirect: checkRedirect}
}

// CheckEndpoint returns an error for a URL of the discovery document of an issuer that we would
// not go to, or send anybody to: with insecure plain HTTP is good.
func CheckEndpoint(issuer, said string, insecure bool) error {
	from, err := checkURL(issuer, insecure)
	if err != nil {
		return err
	}
	_, err = checkDiscovered(from, said, insecure)
	return err
}

// checkDiscovered checks a URL that is in the discovery document of an issuer. What is published with
// https stays with https (OpenID Connect Discovery 1.0 section 3, RFC 8414 section 2), and
// nobody but an issuer on this machine sends us to what listens there for this machine
// alone: Caddy's admin endpoint, metadata of a cloud (RFC 9728 section 7.7). Private
// addresses are where identity providers of companies are.
func checkDiscovered(issuer *url.URL, said string, insecure bool) (*url.URL, error) {
	found, err := checkURL(said, insecure)
	if err != nil {
		return nil, err
	}
	if found.Scheme != issuer.Scheme && found.Scheme != "https" || isLocal(found.Hostname()) && !isLocal(issuer.Hostname()) {
		return nil, errDiscovered
	}
	return found, nil
}

func defaultTransport(roots *x509.CertPool) http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	t.DisableKeepAlives = true  // the next request is minutes away
	t.DisableCompression = true // what is read is what was sent
	t.MaxResponseHeaderBytes = 64 << 10
	return t
}

// checkURL lets absolute https URLs through, and http ones of the loopback, or
// of anybody if insecure.
func checkURL(raw string, insecure bool) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Opaque != "" || u.Fragment != "" {
		return nil, errURL
	}
	if u.Scheme == "https" || u.Scheme == "http" && (insecure || isLoopback(u.Hostname())) {
		return u, nil
	}
	return nil, errURL
}

func isLoopback(host string) bool {
	return strings.EqualFold(host, "localhost") || net.ParseIP(host).IsLoopback()
}

// isLocal reports whether a host is written as this machine or something on its link:
// localhost (RFC 6761 section 6.3), a loopback, unspecified or link-local address, in any
// of the ways in which inet_aton reads one. Names are not resolved: over https a
// certificate proves them, wherever they lead.
func isLocal(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		_, err = strconv.ParseUint(host[strings.LastIndexByte(host, '.')+1:], 0, 64)
		return err == nil // as 127.1, 0x7f000001: no name ends in a number
	}
	ip = ip.Unmap()
	return ip.IsLoopback() || ip.IsUnspecified() || ip.IsLinkLocalUnicast()
}

// checkRedirect stays at the origin that was asked; a token that is for one URL goes to no
// other.
func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects || via[0].Header["Authorization"] != nil || req.URL.User != nil || originOf(req.URL) != originOf(via[0].URL) {
		return errRedirect
	}
	return nil
}

func originOf(u *url.URL) string {
	port := cmp.Or(u.Port(), map[string]string{"https": "443", "http": "80"}[u.Scheme])
	return u.Scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}
