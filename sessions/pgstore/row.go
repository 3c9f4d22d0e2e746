package pgstore

import (
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/storedrow"
	"authsidecar/sessions/logout"
	"authsidecar/sessions/rowcodec"
)

// The column data contains the fields that rotations do not change, as encoded by rowcodec. The
// others have columns of their own, which take precedence over data.

func hashUser(id string) []byte              { return storedrow.Hash("user", id) }
func hashActor(p *sessions.Principal) []byte { return storedrow.Hash("actor", p.Issuer, p.Subject) }
func hashHolder(user, client string) []byte  { return storedrow.Hash("holder", user, client) }
func millis(t time.Time) int64               { return t.UnixMilli() }
func fromMillis(ms int64) time.Time          { return time.UnixMilli(ms).UTC() }

// holderOf returns the hash that a token of the row must match. A pending session has none.
func holderOf(row *sessions.Session) []byte {
	if row.Pending != nil {
		return []byte{}
	}
	return hashHolder(row.UserID, row.ClientID)
}

// columns are the columns of a row.
const columns = "created_at, expires_at, rev, generation, secret, secret_prev, kid, rotated_at, rotated_from, revoked_at, end_reason, data"

// A foundRow is a row that was read.
type foundRow struct {
	row  sessions.Session
	rev  number
	at   time.Time
	data pgtype.DriverBytes // valid until the next row is read
}

// columns returns what the columns are scanned into, after others.
func (f *foundRow) columns(others ...any) []any {
	row := &f.row
	return append(others, (*moment)(&row.CreatedAt), (*moment)(&row.ExpiresAt), &f.rev, (*number)(&row.Generation),
		(*secret)(&row.Secret), (*secret)(&row.SecretPrev), (*text)(&row.KeyID), (*moment)(&row.RotatedAt), (*text)(&row.RotatedFrom),
		(*moment)(&row.RevokedAt), (*text)(&row.EndReason), &f.data)
}

// decode decodes the row, whose key is key, after the scan.
func (f *foundRow) decode(key sessions.Key) (err error) {
	f.row, err = storedrow.Decode(key, f.data, &f.row)
	return err
}

// A storedRow is a session as it is written, and as it will be read.
type storedRow struct {
	Session sessions.Session
	Data    []byte // encoded by rowcodec
}

// encode leaves out of the data what is in columns, which took precedence in earlier releases too.
func encode(row *sessions.Session) (*storedRow, error) {
	hot, rest := *row, *row
	for _, at := range []*time.Time{&hot.CreatedAt, &hot.ExpiresAt, &hot.RotatedAt} {
		*at = fromMillis(millis(*at))
	}
	if !row.RevokedAt.IsZero() {
		hot.RevokedAt = fromMillis(millis(row.RevokedAt))
	}
	none := fromMillis(0)
	rest.CreatedAt, rest.ExpiresAt, rest.RotatedAt, rest.RevokedAt = none, none, none, time.Time{}
	rest.Generation, rest.KeyID, rest.RotatedFrom, rest.EndReason = 0, "", "", ""
	rest.Secret, rest.SecretPrev = [sessions.SecretSize]byte{}, [sessions.SecretSize]byte{}
	data, err := rowcodec.Encode(&rest)
	if err != nil {
		return nil, unavailable(err)
	}
	stored, err := storedrow.Decode(row.Key(), data, &hot)
	return &storedRow{Session: stored, Data: data}, err
}

// changing are the columns that an update may change.
func (w *storedRow) changing() []any {
	row := &w.Session
	return []any{
		rowcodec.FormatOf(row), holderOf(row), millis(row.ExpiresAt), row.Idle.Milliseconds(), millis(row.PurgeAt()),
		int64(row.Generation), row.Secret[:], row.SecretPrev[:], row.KeyID, millis(row.RotatedAt), row.RotatedFrom,
		millisOrNull(row.RevokedAt), string(row.EndReason), w.Data,
	}
}

// lasting are the columns that are written once.
func (w *storedRow) lasting() []any {
	row := &w.Session
	sid, subject := logout.Names(row)
	return []any{hashUser(row.UserID), hashActor(&row.Actor), row.Impersonation, millis(row.CreatedAt), orNull(sid), orNull(subject)}
}
