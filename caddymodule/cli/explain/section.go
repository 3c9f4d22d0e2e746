package explain

import (
	"fmt"
	"regexp"
	"sync"
)

// A section is one of the page about issuers.
type section struct {
	title  string
	issuer *regexp.Regexp
}

// sections maps issuers to sections of the page about issuers. Software that everybody hosts at an
// address of their own cannot be recognized and is not listed. Their patterns are compiled when
// they are first asked for: a Caddy that serves needs none.
var sections = sync.OnceValue(func() []section {
	return []section{
		{"Auth0", hosted(`[^/]+\.auth0\.com`)},
		{"Okta", hosted(`[^/]+\.(okta|oktapreview|okta-emea)\.com`)},
		{"Microsoft Entra ID", hosted(`(login\.microsoftonline\.(com|us)|login\.partner\.microsoftonline\.cn|sts\.windows\.net|[^/]+\.ciamlogin\.com)`)},
		{"Google", regexp.MustCompile(`^(https://)?accounts\.google\.com$`)},
		{"Firebase", hosted(`(securetoken|session\.firebase)\.google\.com`)},
		{"Amazon Cognito", hosted(`cognito-idp\.[^/]+\.amazonaws\.com`)},
		{"Keycloak", regexp.MustCompile(`^https?://.*/realms/[^/]+$`)},
		{"Zitadel", hosted(`[^/]+\.zitadel\.cloud`)},
		{"Clerk", hosted(`(clerk\.[^/]+|[^/]+\.clerk\.accounts\.dev)`)},
		{"Supabase", regexp.MustCompile(`^https?://[^/]+/auth/v1$`)},
		{"Kubernetes", regexp.MustCompile(`^(kubernetes/serviceaccount|https://(kubernetes\.default\.svc(\..*)?|oidc\.eks\.[^/]+/id/.*|container\.googleapis\.com/.*))$`)},
		{"GitHub Actions", hosted(`token\.actions\.githubusercontent\.com`)},
		{"GitLab CI", hosted(`gitlab\.com`)},
		{"Cloudflare Access", hosted(`[^/]+\.cloudflareaccess\.com`)},
		{"Google IAP", regexp.MustCompile(`^https://cloud\.google\.com/iap$`)},
		{"authentik", regexp.MustCompile(`^https?://[^/]+(/.*)?/application/o/[^/]+/$`)},
		{"Apple", hosted(`appleid\.apple\.com`)},
		{"WorkOS", hosted(`api\.workos\.com`)},
		{"Descope", regexp.MustCompile(`^(https://api\.[^/]*descope\.com/.*|P2[0-9A-Za-z]+)$`)},
		{"Logto", hosted(`[^/]+\.logto\.app`)},
		{"Stack Auth", hosted(`api\.stack-auth\.com`)},
	}
})

// hosted matches issuers at hosts that match that pattern.
func hosted(host string) *regexp.Regexp { return regexp.MustCompile(`^https://` + host + `(/|$)`) }

// sectionOf returns the title of the section about an issuer, or "".
func sectionOf(issuer string) string {
	for _, s := range sections() {
		if s.issuer.MatchString(issuer) {
			return s.title
		}
	}
	return ""
}

// Pointer returns a sentence that points to the documentation for an issuer's tokens.
func Pointer(issuer, section string) string {
	switch {
	case issuer == "":
		return "The token names no issuer, or is no JWT."
	case section == "":
		return fmt.Sprintf("The token says that its issuer is %q. Nothing in that tells what it is: look through caddymodule/docs/issuers.md for it.", issuer)
	default:
		return fmt.Sprintf("The token says that its issuer is %q. What to write for it is in caddymodule/docs/issuers.md, section %s.", issuer, section)
	}
}
