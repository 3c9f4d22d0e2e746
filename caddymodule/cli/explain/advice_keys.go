package explain

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"authsidecar/sessions/bearer"
)

// adviseKeys returns what to do if the keys of an issuer are not available, depending on the error
// of fetching them.
func (s *Site) adviseKeys(name string) advice {
	err := s.keysErr[name]
	if err == nil {
		return advice{mend: "run this where a server runs that has them (--address), where its storage can be read, or without --offline"}
	}
	if other, ok := asOther(err); ok {
		return adviseOther(name, other)
	}
	status, answered := errors.AsType[bearer.StatusError](err)
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	discovery := errors.Is(err, bearer.ErrDiscovery)
	switch {
	case unknown:
		return advice{mend: "the certificate of the key server is from an unknown certificate authority. Name the certificate of that authority:", lines: []string{"ca /etc/ssl/internal-ca.pem"}}
	case answered && !discovery && (status == http.StatusUnauthorized || status == http.StatusForbidden):
		return advice{mend: "the server of the keys asks who wants them. If it takes a bearer token, write where that is:", lines: []string{"jwks_token {file./path/to/token}"}}
	case answered && discovery:
		return advice{
			mend:  "the issuer has no discovery document: it answers " + fmt.Sprint(int(status)) + ". Its documentation says where its key set is" + inSection(sectionOf(name)) + ", often as follows:",
			lines: []string{"jwks " + strings.TrimSuffix(name, "/") + "/.well-known/jwks.json"},
		}
	case discovery:
		return advice{mend: "discovery did not find the keys: " + err.Error() + ". Fix that, or set the URL of the key set with jwks" + inSection(sectionOf(name))}
	default:
		return advice{mend: "the keys cannot be fetched: " + err.Error()}
	}
}

// adviseOther returns what to do if the discovery document names another issuer.
func adviseOther(name string, other *bearer.OtherIssuerError) advice {
	mend := fmt.Sprintf("the discovery document of %s says that it is of %s, so it says nothing of this one's keys (RFC 8414 section 3.3). ", name, claimText(other.Name))
	if strings.HasPrefix(other.Keys, "https://") || isLoopback(other.Keys) && isLoopback(name) {
		return advice{mend: mend + "The token is of the issuer that is trusted; if it is signed with the keys of that document all the same, name them:", lines: line("jwks", other.Keys)}
	}
	return advice{mend: mend + "Name the URL of the key set by jwks"}
}

func isLoopback(url string) bool {
	return strings.HasPrefix(url, "http://127.0.0.1:") || strings.HasPrefix(url, "http://localhost:")
}

func inSection(title string) string {
	if title == "" {
		return ""
	}
	return " (caddymodule/docs/issuers.md, section " + title + ")"
}

func asOther(err error) (*bearer.OtherIssuerError, bool) {
	return errors.AsType[*bearer.OtherIssuerError](err)
}
