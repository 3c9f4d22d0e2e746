package signin

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Begin returns where the browser must go to sign in, and sets the cookie of this flow. Afterwards
// the person goes to returnTo, if that is a path of this site. A request to a host that is not
// among Origins, or that does not allow this way back, begins again at the first of them. The
// errors wrap ErrUnavailable or ErrAnswer.
func (c *Client) Begin(w http.ResponseWriter, r *http.Request, returnTo string) (to string, err error) {
	return c.begin(w, r, returnTo, false)
}

// Again is Begin for a person who must authenticate even if the provider still has a session of
// theirs.
func (c *Client) Again(w http.ResponseWriter, r *http.Request, returnTo string) (to string, err error) {
	return c.begin(w, r, returnTo, true)
}

func (c *Client) begin(w http.ResponseWriter, r *http.Request, returnTo string, again bool) (to string, err error) {
	returnTo = c.returnPath(returnTo)
	origin, here := c.originOf(r)
	if first := c.Origins[0]; origin != first && c.OtherReturnTo != "" && returnTo != c.OtherReturnTo {
		origin, here = first, false
	}
	if !here {
		return origin + c.Path + "?" + url.Values{"return_to": {returnTo}}.Encode(), nil
	}
	known, err := c.discover(r.Context())
	if err != nil {
		return "", err
	}
	f := newFlow(c.Now(), returnTo)
	f.again = again
	value, err := c.seal(f)
	if err != nil {
		return "", fmt.Errorf("sealing a sign-in: %w", err)
	}
	flows, stale := c.pendingFlows(r)
	for ; len(flows) >= MaxFlows; flows = flows[1:] {
		stale = append(stale, flows[0].state)
	}
	for _, state := range stale {
		c.setCookie(w, state, "")
	}
	c.setCookie(w, f.state, value)
	asked := known.oauth
	asked.RedirectURL = origin + CallbackPath(c.Path)
	options := []oauth2.AuthCodeOption{oidc.Nonce(f.nonce()), oauth2.S256ChallengeOption(f.verifier())}
	if again {
		options = append(options, oauth2.SetAuthURLParam("prompt", "login")) // OpenID Connect Core 1.0 section 3.1.2.1
	}
	return asked.AuthCodeURL(f.state, options...), nil
}
