package config

import (
	"cmp"
	"slices"

	"authsidecar/caddymodule/internal/placeholder"
	"authsidecar/sessions/bearer"
)

// SignIn is where people sign in: an OpenID provider, with this site as a client. The provider
// redirects to `sign-in/callback` below the path, which must be registered there as the redirect
// URI.
type SignIn struct {
	// The issuer of the provider, which must be one of trust: that trust decides how users are
	// identified and who is accepted. Its discovery document is below it. Required.
	Issuer string `json:"issuer"`

	// The client id of this site there. Required.
	ClientID string `json:"client_id" placeholders:"resolve" example:"my-app"`

	// The client secret: `{env.NAME}` or `{file.path}`. Default: none, for a public client.
	ClientSecret string `json:"client_secret,omitempty" placeholders:"secret" example:"{env.IDP_HMAC}"`

	// The scopes to request in addition to `openid`: the ID token must contain what the trust and
	// the rules need. Default: `email` if the user_claim of the trust is an email address,
	// otherwise none.
	Scopes []string `json:"scopes,omitempty" placeholders:"resolve" example:"email"`
}

// SignInTrust returns the trust of the issuer at which people sign in, or nil.
func (b *Block) SignInTrust() *Trust {
	issuer := b.SignInIssuer()
	for _, t := range b.Trust {
		if t != nil && issuer != "" && t.Issuer == issuer {
			return t
		}
	}
	return nil
}

// SignInIssuer returns the issuer at which people sign in, or "".
func (b *Block) SignInIssuer() string { return cmp.Or(b.browser().SignIn, new(SignIn)).Issuer }

// setSignInDefaults sends people who have to sign in to where they can.
func (b *Block) setSignInDefaults() {
	s, t := b.Browser.SignIn, b.SignInTrust()
	if s == nil {
		return
	}
	if s.Scopes == nil && t != nil && bearer.IsEmail(t.UserClaim) {
		s.Scopes = []string{"email"}
	}
	if i := b.Identity; i != nil && i.Require {
		i.Login = cmp.Or(i.Login, b.Path+"/sign-in?return_to={http.request.uri_escaped}")
	}
}

func (b *Block) checkSignIn() error {
	s, t := b.Browser.SignIn, b.SignInTrust()
	if s == nil {
		return nil
	}
	_, confidential := b.ClientNames()
	switch name := "browser: sign_in " + s.Issuer; {
	case t == nil:
		return wrong("browser.sign_in", "%s: it is not trusted: write the issuer as a trust has it, or add: trust %s", name, s.Issuer)
	case !t.IsRemote():
		return wrong("browser.sign_in", "%s: its trust has its keys from here, and a sign-in asks the issuer: remove jwks, key and secret there, or name the URL of its keys in jwks", name)
	case checkKeyURL(s.Issuer, t.InsecureHTTP) != nil:
		return wrong("browser.sign_in", "%s: people cannot be sent there: %w", name, checkKeyURL(s.Issuer, t.InsecureHTTP))
	case !*t.Users:
		return wrong("browser.sign_in", "%s: the subjects of its trust are not this app's user ids, so nobody could sign in: write users in trust %s", name, t.Issuer)
	case !slices.ContainsFunc(b.Allow, func(r *Rule) bool { return r.Self }):
		return wrong("browser.sign_in", "%s: it makes sessions that people have for themselves, and no rule allows these: write allow self", name)
	case s.ClientID == "":
		return wrong("browser.sign_in", "%s: no client_id: write what this site is called at the provider, as in: client_id my-app", name)
	case confidential[s.ClientID]:
		return wrong("browser.sign_in", "%s: client_id %s is also a client of oauth, which authenticates to refresh the sessions that have its name: call one of them something else", name, s.ClientID)
	case s.ClientSecret != "" && !placeholder.Alone(s.ClientSecret):
		return wrong("browser.sign_in", "%s: this is the client_secret itself: write where it is, {env.NAME} or {file./path}", name)
	case slices.Contains(s.Scopes, "openid"):
		return wrong("browser.sign_in", "%s: scopes: openid is asked for in any case: remove it", name)
	case s.Scopes != nil:
		return checkList("browser.sign_in", name+": scopes", s.Scopes)
	}
	return nil
}
