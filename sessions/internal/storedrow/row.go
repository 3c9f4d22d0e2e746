// Package storedrow is the form of a row in stores on a server: its encoding by package rowcodec,
// and the fields beside it that their statements and scripts compare and set, which take precedence
// over the encoding.
package storedrow

import (
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/rowcodec"
)

// Decode reads a session. The fields that rotations change, and those that are set in the step that
// writes the row, are kept beside data and take precedence over it.
func Decode(key sessions.Key, data []byte, kept *sessions.Session) (sessions.Session, error) {
	row, err := rowcodec.Decode(key, data)
	if err != nil {
		return sessions.Session{}, err
	}
	Keep(&row, kept)
	return row, nil
}

// Keep copies the fields that are kept beside data into a row.
func Keep(row, kept *sessions.Session) {
	row.CreatedAt, row.ExpiresAt = kept.CreatedAt, kept.ExpiresAt
	row.Generation, row.Secret, row.SecretPrev, row.KeyID = kept.Generation, kept.Secret, kept.SecretPrev, kept.KeyID
	row.RotatedAt, row.RotatedFrom = kept.RotatedAt, kept.RotatedFrom
	row.RevokedAt, row.EndReason = kept.RevokedAt, kept.EndReason
}

// KeptRevoked is how long a revoked row is kept, in milliseconds, as in PurgeAt.
var KeptRevoked = func() int64 {
	at := time.UnixMilli(0)
	row := sessions.Session{RotatedAt: at, RevokedAt: at, ExpiresAt: at.AddDate(1, 0, 0), Idle: 1000 * time.Hour}
	return row.PurgeAt().Sub(at).Milliseconds()
}()
