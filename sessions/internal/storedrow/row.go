// Package storedrow is how stores on a server keep a row: as package rowcodec encodes it, and what
// their statements and scripts compare and set beside it, which goes before what the encoding says.
package storedrow

import (
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/rowcodec"
)

// Decode reads a session whose fields that rotations change, and those that were set in the step
// that wrote it, are kept beside the data: they go before what that says.
func Decode(key sessions.Key, data []byte, kept *sessions.Session) (sessions.Session, error) {
	row, err := rowcodec.Decode(key, data)
	if err != nil {
		return sessions.Session{}, err
	}
	Keep(&row, kept)
	return row, nil
}

// Keep puts into a row what is kept beside its data.
func Keep(row, kept *sessions.Session) {
	row.CreatedAt, row.ExpiresAt = kept.CreatedAt, kept.ExpiresAt
	row.Generation, row.Secret, row.SecretPrev, row.KeyID = kept.Generation, kept.Secret, kept.SecretPrev, kept.KeyID
	row.RotatedAt, row.RotatedFrom = kept.RotatedAt, kept.RotatedFrom
	row.RevokedAt, row.EndReason = kept.RevokedAt, kept.EndReason
}

// KeptRevoked is how long a revoked row is kept, in milliseconds, as PurgeAt says.
var KeptRevoked = func() int64 {
	at := time.UnixMilli(0)
	row := sessions.Session{RotatedAt: at, RevokedAt: at, ExpiresAt: at.AddDate(1, 0, 0), Idle: 1000 * time.Hour}
	return row.PurgeAt().Sub(at).Milliseconds()
}()
