package bearer

import (
	"slices"

	"authsidecar/sessions"
)

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
