package caddymodule

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"authsidecar/sessions/bearer"
)

// mutable are claims that people, or those who administer them, can often change to
// somebody else's.
var mutable = []string{"preferred_username", "username", "upn", "unique_name", "nickname", "name", "phone_number"}

// warnCallers warns of trusts that can take one caller for another.
func (h *Handler) warnCallers() (found []string) {
	for _, t := range h.Trust {
		name := "trust " + t.Issuer
		last := t.UserClaim[strings.LastIndexByte(t.UserClaim, '/')+1:]
		switch {
		case t.Unverified:
			found = append(found, fmt.Sprintf("%s: user_claim %s unverified: whoever can write another's address into their profile can call as them; name a claim that nobody can change, as oid or sub", name, t.UserClaim))
		case slices.Contains(mutable, last):
			found = append(found, fmt.Sprintf("%s: user_claim %s: whoever can change theirs to another's can call as them; name a claim that nobody can change, as oid or sub", name, t.UserClaim))
		case bearer.IsEmail(t.UserClaim) && len(t.Tenants) > 1 && *t.Users:
			found = append(found, fmt.Sprintf("%s: user_claim %s with several tenants: each of them can say that its users have any address; name a claim that is different in each, as oid or sub", name, t.UserClaim))
		}
		if t.InsecureHTTP {
			what := "can make up others, and call as anybody"
			if t.JWKSToken != "" {
				what += ", and reads jwks_token"
			}
			found = append(found, name+": insecure_http: whoever is on the way to its keys "+what+"; let it serve them by https, with ca for a certificate authority of your own")
		}
		if t.IDTokens > caddy.Duration(time.Hour) {
			found = append(found, fmt.Sprintf("%s: id_tokens is %s: an ID token that leaked, by the URL of a logout, makes sessions that long; write at most 1h, unless you have to", name, show(t.IDTokens)))
		}
		if t.TokenHeader != "" {
			found = append(found, fmt.Sprintf("%s: token_header %s: Caddy logs this header in clear, where requests are logged; have in each log: format filter { request>headers>%s delete }", name, t.TokenHeader, http.CanonicalHeaderKey(t.TokenHeader)))
		}
	}
	return found
}
