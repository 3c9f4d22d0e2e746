package bearer

import (
	"slices"
	"strconv"
	"strings"

	"authsidecar/sessions"
)

// subject returns the name of the caller: "sub", or the configured claim. In a configured claim, a
// whole number counts as its decimal digits; numbers that do not fit have lost digits and are
// refused.
func (i *issuer) subject(claims sessions.Claims) (string, error) {
	name := i.UserClaim
	if name == "" {
		name = "sub"
	}
	value, _ := claims.Find(name)
	subject, _ := value.(string)
	if number, ok := value.(int64); ok && i.UserClaim != "" {
		subject = strconv.FormatInt(number, 10)
	}
	if sessions.CheckUserID(subject) != nil { // it is used like a user id: in rows, logs, tokens
		return "", refuse(ReasonSubject)
	}
	if IsEmail(name) && !i.Unverified && !isVerified(name, claims) {
		return "", refuse(ReasonUnverified)
	}
	return subject, nil
}

// IsEmail reports whether a claim is named like an email address. Unless the issuer verifies
// addresses, anyone who can set theirs to another person's can pass for that person.
func IsEmail(name string) bool { return name[strings.LastIndexByte(name, '/')+1:] == "email" }

// isVerified reports whether the issuer marks the email address as verified: by email_verified
// beside it (OpenID Connect Core 1.0 section 5.1; Apple writes a string), or by xms_edov of Entra
// ID. A negative mark always counts.
func isVerified(name string, claims sessions.Claims) bool {
	beside := name[:strings.LastIndexByte(name, '/')+1] + "email_verified"
	if mark, has := claims.Find(beside); has {
		return isTrue(mark)
	}
	return isTrue(claims["xms_edov"])
}

// isTrue reports whether a mark is true, in any form that issuers use.
func isTrue(mark any) bool {
	switch mark {
	case any(true), any("true"), any("1"), any(int64(1)):
		return true
	default:
		return false
	}
}

// isAudience reports whether a token is meant for us: whether its "aud" names us or, if that is
// absent or empty, the first of the claims that stand in for it does. A token that names somebody
// else in "aud" is theirs, whatever its other claims say.
func (i *issuer) isAudience(claims sessions.Claims) bool {
	aud, has := claims["aud"]
	if has && !isEmpty(aud) {
		return i.isNamed(aud)
	}
	for _, name := range i.AudienceClaims {
		if value, has := claims.Find(name); has {
			return i.isNamed(value)
		}
	}
	return false
}

// isEmpty reports whether an audience is empty.
func isEmpty(aud any) bool {
	list, isList := aud.([]any)
	return aud == any("") || isList && len(list) == 0
}

// isNamed reports whether an audience (a string or an array of strings: RFC 7519 section 4.1.3)
// contains one of our names.
func (i *issuer) isNamed(aud any) bool {
	switch aud := aud.(type) {
	case string:
		return slices.Contains(i.Audiences, aud)
	case []any:
		found := false
		for _, item := range aud {
			name, ok := item.(string)
			if !ok {
				return false
			}
			found = found || slices.Contains(i.Audiences, name)
		}
		return found
	default:
		return false
	}
}
