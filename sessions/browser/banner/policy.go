package banner

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// A policy is a Content-Security-Policy: its directives (CSP Level 3, section 2.2).
type policy map[string][]string

// policiesOf returns the policies of a response. All of them apply.
func policiesOf(h http.Header) (found []policy) {
	for _, line := range h["Content-Security-Policy"] {
		for text := range strings.SplitSeq(line, ",") {
			found = append(found, parsePolicy(text))
		}
	}
	return found
}

func parsePolicy(text string) policy {
	p := policy{}
	for directive := range strings.SplitSeq(text, ";") {
		words := strings.Fields(directive)
		if len(words) == 0 {
			continue
		}
		if name := strings.ToLower(words[0]); p[name] == nil { // the first one counts
			p[name] = words
		}
	}
	return p
}

// sources returns the sources of the first of these directives that is present; ok is false if none
// is, so that everything is allowed.
func (p policy) sources(names ...string) (sources []string, ok bool) {
	for _, name := range names {
		if words := p[name]; words != nil {
			return words[1:], true
		}
	}
	return nil, false
}

// has reports whether word is one of the sources.
func has(sources []string, word string) bool {
	return slices.ContainsFunc(sources, func(s string) bool { return strings.EqualFold(s, word) })
}

// allows reports whether the first of these directives that is present allows requests to the origin
// of the page.
func (p policy) allows(o origin, names ...string) bool {
	sources, ok := p.sources(names...)
	return !ok || slices.ContainsFunc(sources, o.matches)
}

// usable reports whether the policy allows everything that the bar does: fetching its state, and
// sending the form that stops the impersonation. meta means that the policy is from a <meta>
// element, which cannot set a sandbox.
func (p policy) usable(o origin, meta bool) bool {
	if box, ok := p.sources("sandbox"); ok && !meta && (!has(box, "allow-scripts") || !has(box, "allow-same-origin") || !has(box, "allow-forms")) {
		return false
	}
	return p.allows(o, "connect-src", "default-src") && p.allows(o, "form-action")
}

// script reports whether the script may run: because of its origin, or else with one of the nonces.
func (p policy) script(o origin) (byOrigin bool, nonces []string) {
	sources, ok := p.sources("script-src-elem", "script-src", "default-src")
	if !ok || !has(sources, "'strict-dynamic'") && slices.ContainsFunc(sources, o.matches) {
		return true, nil
	}
	for _, s := range sources {
		if match := nonceSource.FindStringSubmatch(s); match != nil {
			nonces = append(nonces, match[1])
		}
	}
	return false, nonces
}

// nonceSource is CSP Level 3, section 2.3.1. A nonce needs no escaping.
var nonceSource = regexp.MustCompile(`^(?i:'nonce)-([A-Za-z0-9+/_-]+={0,2})'$`)

// allow reports whether the policies let the script run, and with which nonce; "" for none.
func allow(policies []policy, o origin) (nonce string, ok bool) {
	var common []string // of the policies that require one
	needed := false
	for _, p := range policies {
		byOrigin, nonces := p.script(o)
		switch {
		case byOrigin:
		case !needed:
			common, needed = nonces, true
		default:
			common = slices.DeleteFunc(common, func(n string) bool { return !slices.Contains(nonces, n) })
		}
	}
	switch {
	case !needed:
		return "", true
	case len(common) == 0:
		return "", false
	default:
		return common[0], true
	}
}

// requiresIntegrity reports whether the response requires a hash of each script (W3C Integrity
// Policy), which our tag does not have: while a cluster is updated, its nodes have different
// scripts.
func requiresIntegrity(h http.Header) bool {
	return slices.ContainsFunc(h["Integrity-Policy"], func(line string) bool { return strings.Contains(line, "script") })
}

// An origin is the origin of the page.
type origin struct {
	host   string // with its port, unless it is the default
	secure bool
}

// matches reports whether a source of a policy is the origin. A source with a path does not count,
// since it may name other resources.
func (o origin) matches(source string) bool {
	source = strings.ToLower(source)
	switch source {
	case "'self'", "*":
		return true
	case "https:":
		return o.secure
	case "http:":
		return true // CSP Level 3, section 6.7.2.8: https matches too
	}
	scheme, rest, named := strings.Cut(source, "://")
	if named && scheme != "https" && scheme != "http" || named && scheme == "https" && !o.secure {
		return false
	}
	if !named {
		rest = source
	}
	host, port := splitPort(rest)
	ours, ourPort := splitPort(strings.ToLower(o.host))
	if port != ourPort && port != "*" {
		return false
	}
	if suffix, wild := strings.CutPrefix(host, "*"); wild {
		return len(suffix) > 1 && strings.HasSuffix(ours, suffix)
	}
	return host != "" && host == ours
}

func splitPort(s string) (host, port string) {
	at := strings.LastIndexByte(s, ':')
	if at < 0 || strings.HasSuffix(s, "]") { // an IPv6 address
		return s, ""
	}
	host, port = s[:at], s[at+1:]
	if port == "443" || port == "80" {
		port = ""
	}
	return host, port
}
