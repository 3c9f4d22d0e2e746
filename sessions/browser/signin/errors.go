package signin

import (
	"errors"
	"fmt"

	"authsidecar/sessions"
)

// Errors of sign-ins. None contains anything that came over the network.
var (
	// ErrUnknown means that this browser has no pending flow for the response: it took too long,
	// was finished already, or began in another browser.
	ErrUnknown = errors.New("this browser has no pending sign-in for this response")
	// ErrRefused means that the provider refused, or that the person cancelled there.
	ErrRefused = errors.New("the identity provider refused")
	// ErrUnavailable means that the provider cannot be reached, or reports that it is unavailable.
	ErrUnavailable = fmt.Errorf("the identity provider: %w", sessions.ErrUnavailable)
	// ErrAnswer means that the provider's response is invalid.
	ErrAnswer = errors.New("the response of the identity provider is invalid")
)

// Causes, for the log.
var (
	errTwice      = errors.New("a parameter is repeated or malformed")
	errIssuer     = errors.New("it is from another issuer, or has no iss")
	errNoCode     = errors.New("it has neither code nor error")
	errClient     = errors.New("it does not accept client_id and client_secret: compare them with those at the provider")
	errToken      = errors.New("the token endpoint's response cannot be parsed")
	errNoIDToken  = errors.New("the token endpoint returned no ID token: the client must be an OpenID Connect client, with the scope openid")
	errNonce      = errors.New("the ID token belongs to another sign-in (nonce)")
	errParty      = errors.New("the ID token was issued to another client (azp)")
	errDiscovery  = errors.New("the discovery document cannot be parsed")
	errOtherName  = errors.New("the discovery document names another issuer: write the issuer as the document does")
	errEndpoint   = errors.New("the discovery document has no authorization_endpoint or token_endpoint that is safe to use")
	errAuthMethod = errors.New("the provider takes client secrets neither by client_secret_basic nor by client_secret_post")
	errTooLarge   = errors.New("the response is too large")
	errTooMany    = errors.New("too many sign-ins are in progress")
)

// codes are the error codes that a provider may return (RFC 6749 sections 4.1.2.1 and 5.2, OpenID
// Connect Core 1.0 section 3.1.2.6). Any other text is not repeated.
var codes = map[string]error{
	"access_denied":              ErrRefused,
	"login_required":             ErrRefused,
	"consent_required":           ErrRefused,
	"interaction_required":       ErrRefused,
	"account_selection_required": ErrRefused,
	"server_error":               ErrUnavailable,
	"temporarily_unavailable":    ErrUnavailable,
	"invalid_grant":              ErrUnknown, // the code was used before, or has expired
	"invalid_request":            ErrAnswer,
	"invalid_scope":              ErrAnswer,
	"unauthorized_client":        ErrAnswer,
	"unsupported_response_type":  ErrAnswer,
	"invalid_client":             ErrAnswer,
}

// codeError returns the error for an error code of the provider.
func codeError(code string) error {
	kind, known := codes[code]
	switch {
	case !known:
		return fmt.Errorf("%w: an error code that is not known", ErrAnswer)
	case code == "invalid_client", code == "unauthorized_client":
		return fmt.Errorf("%w: %s: %w", kind, code, errClient)
	default:
		return fmt.Errorf("%w: %s", kind, code)
	}
}
