package sidecartest

import "strings"

// A SignInSite is a site whose users sign in at a provider. All fields except Provider and App are
// lines of the Caddyfile, "" for none.
type SignInSite struct {
	Provider string // its issuer
	App      string // its URL
	Trust    string // of the trust
	Block    string // of the block
	Identity string // of identity
	SignIn   string // of sign_in; default: client_id site
	Browser  string // of browser
}

const signInSite = `SITE {
	auth_sessions {
		issuer ISSUER
		trust PROVIDER {
			audience ISSUER/auth/sessions
			TRUST
		}
		allow self
		BLOCK
		lifecycle
		identity {
			IDENTITY
		}
		browser {
			sign_in PROVIDER {
				SIGN_IN
			}
			BROWSER
		}
	}
	reverse_proxy APP
}
`

// StartSignIn starts the site. Its issuer is its URL.
func (s *Sidecar) StartSignIn(site SignInSite) {
	s.t.Helper()
	if site.SignIn == "" {
		site.SignIn = "client_id site"
	}
	s.Start(strings.NewReplacer("ISSUER", s.URL, "PROVIDER", site.Provider, "TRUST", site.Trust, "BLOCK", site.Block, "IDENTITY", site.Identity,
		"SIGN_IN", site.SignIn, "BROWSER", site.Browser, "APP", strings.TrimPrefix(site.App, "http://")).Replace(signInSite))
}
