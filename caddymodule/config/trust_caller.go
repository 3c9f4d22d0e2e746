package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2"

	"authsidecar/caddymodule/config/expression"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/forward"
)

// checkCaller checks the settings that identify callers by the tokens of an issuer, and the
// conditions on them.
func (t *Trust) checkCaller(at, name string) error {
	if err := checkList(at+".audience_claim", name+": audience_claim", t.AudienceClaim); err != nil {
		return err
	}
	for _, claim := range t.AudienceClaim {
		if !claimPath(claim) || claim == "aud" {
			return wrong(at+".audience_claim", "%s: audience_claim %q: name a claim other than aud, or a JSON pointer into one, as in: audience_claim client_id", name, claim)
		}
	}
	switch {
	case t.UserClaim != "" && !claimPath(t.UserClaim):
		return wrong(at+".user_claim", "%s: user_claim %q: name a claim, or write a JSON pointer into one, as in: user_claim oid", name, t.UserClaim)
	case t.Unverified && !bearer.IsEmail(t.UserClaim):
		return wrong(at+".user_claim", "%s: unverified is for email addresses: remove it", name)
	case t.IDTokens < 0 || t.IDTokens > caddy.Duration(bearer.MaxIDTokens):
		return wrong(at+".id_tokens", "%s: id_tokens is %s: write more than 0s and at most %s", name, formatDuration(t.IDTokens), formatDuration(caddy.Duration(bearer.MaxIDTokens)))
	}
	return t.checkConditions(at, name)
}

func (t *Trust) checkConditions(at, name string) error {
	for i, r := range t.Only {
		place := fmt.Sprintf("%s.only.%d", at, i)
		if err := r.checkCondition(place, name+": only"); err != nil {
			return err
		}
		if slices.ContainsFunc(t.Only[:i], r.equal) {
			return wrong(place, "%s: only %s is given twice: remove one", name, r.kind())
		}
	}
	if t.UsersIf == nil {
		return nil
	}
	if !*t.Users {
		return wrong(at+".users", "%s: users_if says which of its callers are users, and users that none are: remove one", name)
	}
	return t.UsersIf.checkCondition(at+".users", name+": users")
}

// checkCondition checks a rule that depends on the caller alone.
func (r *Rule) checkCondition(at, word string) error {
	if r == nil || r.Self || r.From != "" {
		return wrong(at, "%s takes a scope, a claim or an expression, and nothing else", word)
	}
	if err := r.check(at, word); err != nil {
		return err
	}
	if r.Expression == "" {
		return nil
	}
	if compiled, err := expression.Compile(r.Expression); err == nil && compiled.PerSession() {
		return wrong(at, "%s expression: it is asked of the caller alone: ask about caller, and in allow about user_id, reason and client_id", word)
	}
	return nil
}

func (t *Trust) checkTokenHeader(at, name string, ours *forward.Names) error {
	if t.TokenHeader == "" {
		return nil
	}
	switch {
	case !isPlainHeader(t.TokenHeader):
		return wrong(at+".token_header", "%s: token_header %q: nothing can come in such a header: write letters, digits and hyphens, as in: token_header Cf-Access-Jwt-Assertion", name, t.TokenHeader)
	case isReservedHeader(t.TokenHeader) || ours.Has(t.TokenHeader):
		return wrong(at+".token_header", "%s: token_header %s is one that requests have for something else: name the one that the tokens are in (those in Authorization are always found)", name, t.TokenHeader)
	}
	return nil
}

// checkNames checks the names of all issuers: no two may share one, since each has its own keys.
func (b *Block) checkNames() error {
	issuers := []bearer.Issuer{{Name: b.Issuer}}
	ours := forward.NewNames(b.identityHeaders())
	for i, t := range b.Trust {
		at, name := fmt.Sprintf("trust.%d", i), "trust "+t.Issuer
		err := cmp.Or(checkList(at+".issuers", name+": issuers", t.Issuers), checkList(at+".tenants", name+": tenants", t.Tenants), t.checkTokenHeader(at, name, ours))
		if err != nil {
			return err
		}
		if len(t.Tenants) > 0 && !t.HasTenants() {
			return wrong(at+".tenants", "%s: tenants needs to know where they are named: write it as in: issuers https://idp.example.com/*/v2.0", name)
		}
		issuers = append(issuers, bearer.Issuer{Name: t.Issuer, Issuers: t.Issuers})
	}
	place, err := bearer.CheckNames(issuers)
	if err == nil {
		return nil
	}
	mend := "each issuer has its own keys, so two issuers cannot share a name: remove it"
	if errors.Is(err, bearer.ErrPattern) {
		mend = "write it as in: issuers https://idp.example.com/*/v2.0"
	}
	return wrong(fmt.Sprintf("trust.%d.issuers", place-1), "trust %s: issuers: %w; %s", issuers[place].Name, err, mend)
}

// identityHeaders returns the headers that tell the app who the user is.
func (b *Block) identityHeaders() []string {
	if b.Identity == nil {
		return nil
	}
	names, _ := b.Identity.Fields()
	return names
}
