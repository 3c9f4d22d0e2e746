package logout

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"authsidecar/sessions"
)

// Names returns the names by which a store finds a row: from the session at the issuer, and from
// the subject if another claim identifies the caller; "" for none. Other subjects are found as
// users and actors. The names of a row never change.
func Names(s *sessions.Session) (sid, subject string) {
	if s.ActorSID != "" {
		sid = sidName(s.Actor.Issuer, s.ActorSID)
	}
	if s.ActorSub != "" {
		subject = subjectName(s.Actor.Issuer, s.ActorSub)
	}
	return sid, subject
}

func sidName(issuer, sid string) string         { return name("sid", issuer, sid) }
func subjectName(issuer, subject string) string { return name("sub", issuer, subject) }

// NameSize is the length of each name, in bytes of base64url.
const NameSize = 22

// name is a hash of texts: always of the same length, and not readable in a store.
func name(texts ...string) string {
	h := sha256.New()
	for _, text := range texts {
		_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(text))))
		_, _ = h.Write([]byte(text))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16])
}

// subjectOf returns the "sub" of the caller's token of a row.
func subjectOf(s *sessions.Session) string { return cmp.Or(s.ActorSub, s.Actor.Subject) }
