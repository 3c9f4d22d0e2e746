package sessions

import "fmt"

// rowFormat is the version of the encoding that this release writes. A release
// reads its own and every earlier one.
const rowFormat = 1

// The stored form of a Session is a JSON object: the names are those of the
// struct tags and those below, times in Unix milliseconds, bytes in base64url.
// What is empty is left out. Realm and ID are the key, not part of the value.
// The format comes first, so that a reader that does not know it stops there.
const (
	fieldFormat     = "v"
	fieldCreated    = "created"
	fieldExpires    = "expires"
	fieldIdle       = "idle" // milliseconds
	fieldGeneration = "gen"
	fieldSecret     = "rnd"
	fieldSecretPrev = "rnd_prev" //nolint:gosec // the name of a member
	fieldRotated    = "rotated"
	fieldRevoked    = "revoked"
	fieldRequest    = "request"
	fieldKept       = "kept_at"
)

var zeroSecret [SecretSize]byte

// EncodeRow gives the value under which a store keeps the session. It is
// written by hand, since each create and each refresh waits for it.
func EncodeRow(s *Session) ([]byte, error) {
	w := jsonWriter(make([]byte, 0, 640))
	w = append(w, '{')
	w.int(fieldFormat, rowFormat)
	w.text("user", s.UserID)
	w.text("client", s.ClientID)
	if s.Impersonation {
		w = append(w, `,"imp":true`...)
	}
	w.optional("reason", s.Reason)
	if err := w.actor(s); err != nil {
		return nil, fmt.Errorf("encoding session row: %w", err)
	}
	w.optional("rule", s.Rule)
	w.optional("ip", s.IP)
	w.optional("ua", s.UserAgent)
	w.text("kid", s.KeyID)
	w.optional("rip", s.RotatedFrom)
	w.optional("end", string(s.EndReason))
	w.int(fieldCreated, s.CreatedAt.UnixMilli())
	w.int(fieldExpires, s.ExpiresAt.UnixMilli())
	w.int(fieldIdle, s.Idle.Milliseconds())
	w.uint(fieldGeneration, s.Generation)
	w.bytes(fieldSecret, s.Secret[:])
	if s.SecretPrev != zeroSecret {
		w.bytes(fieldSecretPrev, s.SecretPrev[:])
	}
	w.int(fieldRotated, s.RotatedAt.UnixMilli())
	if !s.RevokedAt.IsZero() {
		w.int(fieldRevoked, s.RevokedAt.UnixMilli())
	}
	if len(s.RequestHash) > 0 {
		w.bytes(fieldRequest, s.RequestHash)
	}
	return append(w, '}'), nil
}

// actor writes who created the session, and what is recorded of their token.
func (w *jsonWriter) actor(s *Session) error {
	w.principal("actor", &s.Actor)
	w.optional("actor_client", s.ActorClient)
	w.optional("actor_sub", s.ActorSub)
	w.optional("actor_sid", s.ActorSID)
	if err := w.claims("claims", s.ActorClaims); err != nil {
		return err
	}
	w.names("absent", s.ActorAbsent)
	if s.ActorWhole {
		*w = append(*w, `,"whole":true`...)
	}
	if len(s.Kept) == 0 {
		return nil
	}
	w.int(fieldKept, s.KeptAt.UnixMilli())
	return w.claims("kept", s.Kept)
}
