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

// Network origins that we contact, and those that they may send us to.

const maxRedirects = 3

var (
	errURL        = errors.New("not an absolute https URL without user and fragment")
	errRedirect   = errors.New("redirected to another origin, or too often")
	errDiscovered = errors.New("discovery document leads from https to http, or to an address of this machine or its link: if that is right, configure the URL of the keys")
)

// NewClient returns the HTTP client for the servers of an issuer. It follows redirects only within
// the same origin, and keeps no cookies. roots are the trusted CAs; nil means those of the system.
func NewClient(roots *x509.CertPool) *http.Client {
	return &http.Client{Transport: defaultTransport(roots), CheckRedirect: checkRedirect}
}

// CheckEndpoint returns an error for a URL of an issuer's discovery document that we must neither
// request nor redirect to. insecure allows plain HTTP.
func CheckEndpoint(issuer, said string, insecure bool) error {
	from, err := checkURL(issuer, insecure)
	if err != nil {
		return err
	}
	_, err = checkDiscovered(from, said, insecure)
	return err
}

// checkDiscovered checks a URL in the discovery document of an issuer. A document fetched with
// https may only name https URLs (OpenID Connect Discovery 1.0 section 3, RFC 8414 section 2). Only
// an issuer on this machine may name local addresses, where Caddy's admin endpoint and cloud
// metadata services listen (RFC 9728 section 7.7). Private addresses are allowed, since companies
// run identity providers there.
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
	t.DisableCompression = true // the body must be the bytes that were sent
	t.MaxResponseHeaderBytes = 64 << 10
	return t
}

// checkURL accepts absolute https URLs, and http URLs of loopback addresses, or of any host if
// insecure is set.
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

// isLocal reports whether a host denotes this machine or its local link: localhost (RFC 6761
// section 6.3), or a loopback, unspecified or link-local address in any form that inet_aton
// accepts. Names are not resolved: with https, a certificate proves the name, whatever its address.
func isLocal(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		_, err = strconv.ParseUint(host[strings.LastIndexByte(host, '.')+1:], 0, 64)
		return err == nil // such as 127.1 or 0x7f000001; no host name ends in a number
	}
	ip = ip.Unmap()
	return ip.IsLoopback() || ip.IsUnspecified() || ip.IsLinkLocalUnicast()
}

// checkRedirect allows redirects within the origin that was asked. A token for one URL is sent to
// no other.
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
