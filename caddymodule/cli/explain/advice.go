package explain

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/jose"
)

// An advice is what to do about a check that refuses a token.
type advice struct {
	mend string
	// lines are lines to write into the issuer's block, replacing lines that begin with the same
	// words; empty if the configuration cannot help.
	lines []string
}

// A refusal is a token that a check refuses, with the issuer that it names.
type refusal struct {
	*Site
	*bearer.Explanation

	of  Trusted // empty if the issuer is not trusted
	now time.Time
}

// advisers return advice for reasons where the token and the configuration say more than the
// reason.
var advisers = map[bearer.Reason]func(*refusal) advice{
	bearer.ReasonUnknownIssuer: (*refusal).issuer,
	bearer.ReasonAlgorithm:     (*refusal).key,
	bearer.ReasonUnknownKey:    (*refusal).key,
	bearer.ReasonClaims:        (*refusal).claims,
	bearer.ReasonType:          (*refusal).typ,
	bearer.ReasonKind:          (*refusal).kind,
	bearer.ReasonIDToken:       (*refusal).idToken,
	bearer.ReasonIDTokenAge:    (*refusal).idTokenAge,
	bearer.ReasonAudience:      (*refusal).audience,
	bearer.ReasonExpired:       (*refusal).expired,
	bearer.ReasonLifetime:      (*refusal).lifetime,
	bearer.ReasonNotYet:        func(r *refusal) advice { return r.early("nbf") },
	bearer.ReasonIssuedLater:   func(r *refusal) advice { return r.early("iat") },
	bearer.ReasonSubject:       (*refusal).subject,
	bearer.ReasonUnverified:    (*refusal).unverified,
	bearer.ReasonOnly:          (*refusal).only,
}

// advise returns what to do about a reason. The content of a token that its issuer did not sign is
// unknown, so no line is derived from it.
func (s *Site) advise(reason bearer.Reason, made *bearer.Explanation, now time.Time) advice {
	if made.Claims["iss"] == any(s.Own.Name) {
		return advice{mend: MendOwn(reason)}
	}
	if reason == bearer.ReasonAlgorithm && isUnsigned(s.token) {
		return advice{mend: "have the issuer sign it: a token with alg none is not signed, and is never accepted"}
	}
	adviser := advisers[reason]
	forged := slices.ContainsFunc(made.Steps, func(step bearer.Step) bool { return step.Check == bearer.CheckSignature && step.Err != nil })
	if adviser == nil || made.Claims == nil && reason != bearer.ReasonUnknownIssuer || forged {
		return advice{mend: Mends[reason]}
	}
	return adviser(&refusal{s, made, s.trusted(made), now})
}

// plain matches text that needs no quoting in a Caddyfile: what is in a token comes from others.
var plain = regexp.MustCompile(`^[A-Za-z0-9/][A-Za-z0-9._~:/?@!$&+,;=|%-]{0,254}$`)

// line returns a line of words; nil if one of them needs quoting.
func line(words ...string) []string {
	for _, word := range words {
		if !plain.MatchString(word) {
			return nil
		}
	}
	return []string{strings.Join(words, " ")}
}

// with returns the line of a list with one more word, to replace the existing line; nil if the list
// has that word, or the word needs quoting.
func with(word string, list []string, more string) []string {
	if slices.Contains(list, more) || !plain.MatchString(more) {
		return nil
	}
	words := []string{word}
	for _, have := range list {
		if !plain.MatchString(have) {
			have = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(have) + `"`
		}
		words = append(words, have)
	}
	return []string{strings.Join(append(words, more), " ")}
}

// issuer returns advice for a token of an issuer that is not trusted.
func (r *refusal) issuer() advice {
	iss, ok := r.Claims["iss"].(string)
	if !ok {
		return advice{mend: "have the issuer add iss: without it, it is unknown whose keys to use"}
	}
	for _, t := range r.Trusted {
		if !isSpelling(iss, t.Issuer) {
			continue
		}
		if other, ok := asOther(r.keysErr[t.Name]); ok && other.Name == iss {
			return advice{mend: fmt.Sprintf("that is what the issuer calls itself; write that in place of %s:", t.Name), lines: line("trust", iss)}
		}
		return advice{
			mend:  fmt.Sprintf("iss is another spelling of %s, but must match exactly. If both are the same issuer with the same keys, add to its trust block:", t.Name),
			lines: with("issuers", t.Issuers, iss),
		}
	}
	means := audienceOf(r.Claims, bearer.Issuer{})
	if !strings.HasPrefix(iss, "https://") || means == nil || line(iss) == nil {
		return advice{mend: "get a token of an issuer that a trust block names; or, if this one is yours, add a trust block for it, with jwks for the URL of its keys and audience for the audience of its tokens"}
	}
	return advice{
		mend:  "get a token of an issuer that a trust block names; or, if this one is yours and its audience is this app, add the following block (rules must then name their issuer with from, and users goes into the block of the issuer that allow self is for; add jwks if it has no discovery document):",
		lines: append(append([]string{"trust " + iss + " {"}, means...), "}"),
	}
}

// isSpelling reports whether a name is another spelling of one of the issuer's.
func isSpelling(name string, of bearer.Issuer) bool {
	return slices.ContainsFunc(append([]string{of.Name}, of.Issuers...), func(known string) bool { return spelling(known) == spelling(name) })
}

// spelling returns what all spellings of an issuer have in common.
func spelling(issuer string) string {
	issuer = strings.ToLower(strings.TrimSuffix(issuer, "/"))
	return strings.TrimPrefix(strings.TrimPrefix(issuer, "https://"), "http://")
}

// key returns advice for a token whose key the issuer does not have.
func (r *refusal) key() advice {
	alg := jose.Algorithm(r.Header.Algorithm)
	if alg.Symmetric() {
		return r.sharedSecret(alg)
	}
	if named := r.of.Accepts.Algorithms; len(named) > 0 && !slices.Contains(named, alg) {
		return advice{
			mend:  fmt.Sprintf("it is signed with %s, which is not among the configured algorithms. If that is what the issuer uses, write:", alg),
			lines: with("algorithms", r.of.Algorithms, string(alg)),
		}
	}
	if isSecret(r.of) {
		return advice{mend: fmt.Sprintf("it is signed with %s, but the trust block has only a shared secret: set the public keys with jwks or key", alg)}
	}
	return advice{mend: fmt.Sprintf("its key is %s, which the issuer does not have. To fetch new keys, run caddy auth-sessions keys --refresh; a key file must contain it; if the issuer's keys are elsewhere, set their URL with jwks", keyName(r.Header))}
}

// sharedSecret returns advice for a token that is signed with a secret.
func (r *refusal) sharedSecret(alg jose.Algorithm) advice {
	if r.of.Secret == nil && !isSecret(r.of) {
		mend := fmt.Sprintf("it is signed with a secret (%s), with which everybody who can verify it can also sign. Preferably have the issuer sign with a key pair; or put the secret into the environment, and write:", alg)
		return advice{mend: mend, lines: append([]string{"secret {env.IDP_SECRET}"}, r.secretAlgorithms(alg)...)}
	}
	return advice{mend: fmt.Sprintf("the secret is not for %s. If the issuer signs with that, write:", alg), lines: r.secretAlgorithms(alg)}
}

// secretAlgorithms returns the line for a secret with that algorithm, if one is needed.
func (r *refusal) secretAlgorithms(alg jose.Algorithm) []string {
	named := r.of.Algorithms
	switch {
	case len(named) == 0 && alg == jose.HS256:
		return nil
	case len(named) == 0 && !isSecret(r.of): // the public keys keep their algorithms
		for _, public := range jose.Asymmetric() {
			named = append(named, string(public))
		}
	}
	return with("algorithms", named, string(alg))
}

// isSecret reports whether an issuer has only a shared secret.
func isSecret(t Trusted) bool {
	static, ok := t.Keys.(*bearer.Static)
	return ok && static.Symmetric()
}

// texts returns the strings in a claim: one, or a list of them; ok is false if it is neither.
func texts(claim any) (list []string, ok bool) {
	switch claim := claim.(type) {
	case string:
		return []string{claim}, true
	case []any:
		for _, item := range claim {
			text, isText := item.(string)
			if !isText {
				return nil, false
			}
			list = append(list, text)
		}
		return list, true
	default:
		return nil, false
	}
}

// audienceOf returns the lines that accept the audience of a token; nil if it has none that can be
// accepted.
func audienceOf(claims sessions.Claims, of bearer.Issuer) []string {
	if list, ok := texts(claims["aud"]); ok && len(list) > 0 && list[0] != "" {
		return with("audience", of.Audiences, list[0])
	} else if _, has := claims["aud"]; has && !ok {
		return nil
	}
	for _, name := range append(slices.Clone(of.AudienceClaims), "client_id", "azp", "cid", "appid") {
		value, _ := claims.Find(name)
		list, ok := texts(value)
		if !ok || len(list) == 0 {
			continue
		}
		return append(with("audience_claim", of.AudienceClaims, name), with("audience", of.Audiences, list[0])...)
	}
	return nil
}
