package directive

import (
	"authsidecar/caddymodule/config"
)

// events reads what is taken of the security events of an issuer:
//
//	events {
//		audience          <aud...>
//		token             {file./path}
//		session-revoked   revoke | revoke-impersonations | log
//		credential-change ...
//		account-disabled  ...
//		account-purged    ...
//		sessions-revoked  ...
//	}
func (p *parser) events(t *config.Trust, at string) error {
	e := new(config.SecurityEvents)
	t.Events = e
	known := p.fields(e, words{})
	for event, action := range e.Words() {
		known[event] = func() (err error) {
			*action, err = p.literal("log")
			return err
		}
	}
	return p.block(at+".events", known)
}
