package bearer

import (
	"slices"
	"strconv"
	"strings"

	"authsidecar/sessions"
)

// subject returns the name of who is calling: "sub", or the claim that the
// configuration names. Whole numbers count as their decimal text where it names the
// claim; those that do not fit have lost digits, and are refused.
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
	if sessions.CheckUserID(subject) != nil { // it goes where user ids go: rows, logs, tokens
		return "", refuse(ReasonSubject)
	}
	if IsEmail(name) && !i.Unverified && !isVerified(name, claims) {
		return "", refuse(ReasonUnverified)
	}
	return subject, nil
}

// IsEmail reports whether a claim is an email address by its name. Whoever can change
// theirs to another's is that other, unless the issuer verifies it.
func IsEmail(name string) bool { return name[strings.LastIndexByte(name, '/')+1:] == "email" }

// isVerified reports whether the issuer says that it verified the email address:
// email_verified beside it (OpenID Connect Core 1.0 section 5.1; Apple writes it as
// text), else the mark of Entra ID, xms_edov. A mark that says no is a no.
func isVerified(name string, claims sessions.Claims) bool {
	beside := name[:strings.LastIndexByte(name, '/')+1] + "email_verified"
	if mark, has := claims.Find(beside); has {
		return isTrue(mark)
	}
	return isTrue(claims["xms_edov"])
}

// isTrue reports whether a mark says yes, in the ways in which issuers write that.
func isTrue(mark any) bool {
	switch mark {
	case any(true), any("true"), any("1"), any(int64(1)):
		return true
	default:
		return false
	}
}

// isAudience reports whether a token is meant for us: whether its "aud" names us or,
// where it has none or an empty one, the first that it has of the claims that stand in
// for it. A token that names somebody else is theirs, whatever its other claims say.
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

// isEmpty reports whether an audience names nobody.
func isEmpty(aud any) bool {
	list, isList := aud.([]any)
	return aud == any("") || isList && len(list) == 0
}

// isNamed reports whether an audience (a string, or an array of strings: RFC 7519
// section 4.1.3) has one of our names in it.
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
