package explain

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"authsidecar/caddymodule/internal/reltime"
	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
)

// audience returns advice for a token that is for another audience, or for none.
func (r *refusal) audience() advice {
	aud := r.Claims["aud"]
	list, ok := texts(aud)
	lines := audienceOf(r.Claims, r.of.Issuer)
	switch {
	case slices.ContainsFunc(list, func(name string) bool { return slices.Contains(r.of.Audiences, name) }): // an ID token
		azp, _ := r.Claims["azp"].(string)
		if azp == "" {
			return advice{mend: "it is an ID token for several audiences: have the issuer name its client in azp"}
		}
		return advice{
			mend:  fmt.Sprintf("it is an ID token for the client %q (azp). If that is an app of yours, write:", azp),
			lines: with("audience", r.of.Audiences, azp),
		}
	case ok && len(list) > 0 && list[0] != "":
		return advice{mend: fmt.Sprintf("its audience (aud) is %s. Ask the issuer for a token for our audience; or, if this one means only this app, write:", claimText(aud)), lines: lines}
	case lines != nil:
		return advice{mend: "it has no audience (aud), but names its client in another claim. Preferably have the issuer add our audience; or, if that client is an app of yours, write:", lines: lines}
	default:
		return advice{mend: fmt.Sprintf("have the issuer add our audience: its aud is %s, and no other claim says what it is for", claimText(aud))}
	}
}

// claims returns advice for claims of the wrong type, as far as they can be read.
func (r *refusal) claims() advice {
	for _, name := range []string{"exp", "nbf", "iat"} {
		switch value, has := r.Claims[name]; value.(type) {
		case int64, float64:
		default:
			if has {
				return advice{mend: fmt.Sprintf("have the issuer write %s as a number of seconds (RFC 7519 section 2): it is %s", name, claimText(value))}
			}
		}
	}
	for _, name := range []string{"client_id", "azp"} {
		if value, has := r.Claims[name]; has {
			if _, ok := value.(string); !ok {
				return advice{mend: fmt.Sprintf("have the issuer write %s as text: it is %s", name, claimText(value))}
			}
		}
	}
	return advice{mend: Mends[bearer.ReasonClaims]}
}

// typ returns advice for a token with another type.
func (r *refusal) typ() advice {
	typ := cmp.Or(r.Header.Type, bearer.NoType)
	if bearer.IsNeverCallers(typ) {
		return advice{mend: fmt.Sprintf("send an access token: one of type %s has another purpose", typ)}
	}
	return advice{
		mend:  fmt.Sprintf("its typ is %s. If the issuer's access tokens have that, write:", typ),
		lines: with("types", r.of.Types, typ),
	}
}

// kind returns advice for a token that is marked as one for another purpose.
func (r *refusal) kind() advice {
	for _, name := range []string{"events", "token_use", "typ"} {
		if value, has := r.Claims[name]; has {
			return advice{mend: fmt.Sprintf("send an access token: according to its claim %s (%s), this one has another purpose", name, claimText(value))}
		}
	}
	return advice{mend: Mends[bearer.ReasonKind]}
}

func (r *refusal) idToken() advice {
	name := "typ"
	if strings.EqualFold(fmt.Sprint(r.Claims["token_use"]), "id") {
		name = "token_use"
	}
	return advice{
		mend:  fmt.Sprintf("its claim %s says that it is an ID token, which is for the client that signed in: send the access token. If there is none, write:", name),
		lines: line("id_tokens"),
	}
}

// idTokenAge returns advice for an ID token that is too old.
func (r *refusal) idTokenAge() advice {
	issued, ok := seconds(r.Claims["iat"])
	age := r.now.Sub(issued)
	if !ok || age > bearer.MaxIDTokens-time.Minute {
		return advice{mend: fmt.Sprintf("send an ID token that was issued just now and has iat: its iat is %s", claimText(r.Claims["iat"]))}
	}
	mend := fmt.Sprintf("it was issued %s: send one that was issued just now, since ID tokens leak through the URLs of logouts. To accept older ones anyway, write:", reltime.Ago(issued, r.now))
	if r.Claims["typ"] == nil && r.Claims["token_use"] == nil {
		mend = "it is not marked as an ID token, and without id_tokens its age is not checked. With it, " + mend
	}
	return advice{
		mend:  mend,
		lines: line("id_tokens", wholeUnits(age, time.Hour, "h")),
	}
}

func (r *refusal) expired() advice {
	end, _ := seconds(r.Claims["exp"])
	return advice{mend: fmt.Sprintf("get a new token: it expired %s (exp); if it is new, a clock is wrong: compare this machine's with the issuer's", reltime.Ago(end, r.now))}
}

func (r *refusal) lifetime() advice {
	end, _ := seconds(r.Claims["exp"])
	left := end.Sub(r.now)
	mend := fmt.Sprintf("it is valid for another %s (exp). Have the issuer give it a shorter lifetime", reltime.Span(left))
	if left > bearer.MaxMaxLifetime {
		return advice{mend: mend + ": more than 10 years are never accepted"}
	}
	return advice{mend: mend + ", or write:", lines: line("max_lifetime", wholeUnits(left, 24*time.Hour, "d"))}
}

// early returns advice for a token that begins in the future, according to that claim.
func (r *refusal) early(claim string) advice {
	at, _ := seconds(r.Claims[claim])
	mend := fmt.Sprintf("its %s is %s: compare the clock of this machine with the issuer's", claim, reltime.Ahead(at, r.now))
	if at.Sub(r.now) > bearer.MaxLeeway {
		return advice{mend: mend + "; leeway can be at most 5 minutes"}
	}
	return advice{mend: mend + ". Until they agree, write:", lines: line("leeway", wholeUnits(at.Sub(r.now), time.Minute, "m"))}
}

// subjects are claims that identify callers at the issuers of the page about issuers, permanent
// ones first.
var subjects = []string{"sub", "oid", "uid", "user_id", "common_name", "username", "client_id", "azp", "email"}

// subject returns advice for a token that does not identify the caller.
func (r *refusal) subject() advice {
	name := userClaim(r.of.Issuer)
	value, _ := r.Claims.Find(name)
	mend := fmt.Sprintf("its %s is %s. Have the issuer add it: 1 to 255 bytes of text without control characters and without blanks around it", name, claimText(value))
	for _, other := range subjects {
		found := r.Claims[other]
		if number, ok := found.(int64); ok {
			found = fmt.Sprint(number)
		} else if other == name {
			continue
		}
		if text, ok := found.(string); !ok || sessions.CheckUserID(text) != nil {
			continue
		}
		words := []string{"user_claim", other}
		if other == "email" && r.Claims["email_verified"] != any(true) {
			words = append(words, "unverified")
		}
		return advice{mend: mend + fmt.Sprintf("; or, if %s %s always identifies this caller and never another, write:", other, claimText(r.Claims[other])), lines: line(words...)}
	}
	return advice{mend: mend}
}

func (r *refusal) unverified() advice {
	name := userClaim(r.of.Issuer)
	return advice{
		mend:  fmt.Sprintf("have the issuer verify %s: email_verified is %s. Only if nobody can change theirs to another person's, write:", name, claimText(r.Claims["email_verified"])),
		lines: line("user_claim", name, "unverified"),
	}
}

// only returns advice for a token that does not satisfy a condition: no line can be added, only
// removed.
func (r *refusal) only() advice {
	return advice{mend: "get a token that satisfies what follows, or change or remove it: " + strings.Join(r.unmet(r.Explanation), "; ")}
}

// seconds returns a time in a token.
func seconds(claim any) (time.Time, bool) {
	switch n := claim.(type) {
	case int64:
		return time.Unix(n, 0).UTC(), true
	case float64:
		return time.Unix(int64(n), 0).UTC(), true
	default:
		return time.Time{}, false
	}
}

// wholeUnits formats a duration in whole units, rounded up.
func wholeUnits(d, unit time.Duration, name string) string {
	return fmt.Sprintf("%d%s", max(1, int(math.Ceil(float64(d)/float64(unit)))), name)
}
