package sessions

import (
	"slices"
	"strings"
)

// clientClaims name the client that a token was issued to, as issuers call it. Where
// the subject is that client there is no user behind the token (RFC 9068 section 5,
// RFC 9700 section 4.15).
var clientClaims = [...]string{"client_id", "azp", "cid", "appid"}

// serviceAccount begins the names that Keycloak gives the accounts of clients, and clients ends
// those of Auth0.
const (
	serviceAccount = "service-account-"
	clients        = "@clients"
)

// IsUser reports whether the caller is a user of this app: of an issuer whose subjects
// are its users, and a person.
func (c *Caller) IsUser() bool { return c.User && !c.IsMachine() }

// IsMachine reports whether a token of a trusted issuer says that a machine holds it.
// It does where
//   - its subject is its own client, which client_id, azp, cid or appid names,
//   - client credentials are what it was granted for: gty, of Auth0 and FusionAuth,
//   - it is an app's: idtyp, of Entra ID,
//   - its subject ends in @clients, as those of Auth0 do,
//   - its subject or preferred_username begins with service-account-, as those of
//     Keycloak do.
//
// All of that in any case: who is taken for a machine can only do less.
func (c *Caller) IsMachine() bool {
	// Where the caller is known by another claim, sub is another name of theirs.
	sub, _ := c.Claims["sub"].(string)
	name, _ := c.Claims["preferred_username"].(string)
	return c.isClient(c.Subject) || c.isClient(sub) || hasPrefix(name, serviceAccount) ||
		isWord(c.Claims["idtyp"], "app") || clientCredentials(c.Claims["gty"])
}

// isClient reports whether the subject is that of a client.
func (c *Caller) isClient(subject string) bool {
	if subject == "" {
		return false
	}
	for _, name := range clientClaims {
		if client, ok := scalar(c.Claims[name]); ok && strings.EqualFold(client, subject) {
			return true
		}
	}
	at := max(0, len(subject)-len(clients))
	return strings.EqualFold(subject, c.ClientID) || strings.EqualFold(subject[at:], clients) || hasPrefix(subject, serviceAccount)
}

// clientCredentials reports whether a type of grants, or one in a list, is that one.
func clientCredentials(gty any) bool {
	if list, ok := gty.([]any); ok {
		return slices.ContainsFunc(list, clientCredentials)
	}
	return isWord(gty, "client-credentials") || isWord(gty, "client_credentials")
}

// isWord reports whether a claim is that word, in any case.
func isWord(claim any, word string) bool {
	text, ok := claim.(string)
	return ok && strings.EqualFold(text, word)
}

// hasPrefix reports whether a text begins with that, in any case.
func hasPrefix(text, prefix string) bool {
	return len(text) >= len(prefix) && strings.EqualFold(text[:len(prefix)], prefix)
}
