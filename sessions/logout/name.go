package logout

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"authsidecar/sessions"
)

// Names returns under which names a store finds a row by what its caller's token said: the
// session at the issuer, and the subject where another claim names the caller; "" for none.
// Other subjects are found as users and actors. Names never change while a row exists.
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

// name is a hash of texts: of one length, whatever they hold, and nothing to read in a store.
func name(texts ...string) string {
	h := sha256.New()
	for _, text := range texts {
		_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(text))))
		_, _ = h.Write([]byte(text))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16])
}

// subjectOf returns the "sub" of the token that a row is from.
func subjectOf(s *sessions.Session) string { return cmp.Or(s.ActorSub, s.Actor.Subject) }
