package pgstore

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/rowcodec"
)

// What does not change in a rotation is in the column data, as rowcodec gives it;
// what does is in columns of its own, which go before what data says of it.

// hash names a text, or several, in an index: of one length, whatever they hold.
func hash(texts ...string) []byte {
	h := sha256.New()
	for _, text := range texts {
		_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(text))))
		_, _ = h.Write([]byte(text))
	}
	return h.Sum(nil)[:16]
}

func hashUser(id string) []byte              { return hash("user", id) }
func hashActor(p *sessions.Principal) []byte { return hash("actor", p.Issuer, p.Subject) }
func hashHolder(user, client string) []byte  { return hash("holder", user, client) }
func millis(t time.Time) int64               { return t.UnixMilli() }
func fromMillis(ms int64) time.Time          { return time.UnixMilli(ms).UTC() }
func maybeMillis(a *args, t time.Time) *args {
	if t.IsZero() {
		return a.null()
	}
	return a.int(millis(t))
}

// kept is how long a revoked row is kept, in milliseconds, as PurgeAt says.
var kept = func() int64 {
	at := time.UnixMilli(0)
	row := sessions.Session{RotatedAt: at, RevokedAt: at, ExpiresAt: at.AddDate(1, 0, 0), Idle: 1000 * time.Hour}
	return row.PurgeAt().Sub(at).Milliseconds()
}()

// columns are what a row is read from, in the order of readRow.
const columns = "created_at, expires_at, rev, generation, secret, secret_prev, kid, rotated_at, rotated_from, revoked_at, end_reason, data"

// readRow reads columns.
func readRow(key sessions.Key, r *reader) (row sessions.Session, rev int64, err error) {
	hot := sessions.Session{CreatedAt: fromMillis(r.int()), ExpiresAt: fromMillis(r.int())}
	rev, hot.Generation = r.int(), uint64(r.int())
	r.array(hot.Secret[:])
	r.array(hot.SecretPrev[:])
	hot.KeyID, hot.RotatedAt, hot.RotatedFrom = r.text(), fromMillis(r.int()), r.text()
	if at, revoked := r.maybe(); revoked {
		hot.RevokedAt = fromMillis(at)
	}
	hot.EndReason = sessions.EndReason(r.text())
	data := r.next()
	if r.err != nil {
		return row, 0, r.err
	}
	if row, err = rowcodec.Decode(key, data); err != nil {
		return sessions.Session{}, 0, err
	}
	overlay(&row, &hot)
	return row, rev, nil
}

// overlay puts what changes in rotations, and what was set in the step that wrote the row,
// over what was decoded.
func overlay(row, hot *sessions.Session) {
	row.CreatedAt, row.ExpiresAt = hot.CreatedAt, hot.ExpiresAt
	row.Generation, row.Secret, row.SecretPrev, row.KeyID = hot.Generation, hot.Secret, hot.SecretPrev, hot.KeyID
	row.RotatedAt, row.RotatedFrom = hot.RotatedAt, hot.RotatedFrom
	row.RevokedAt, row.EndReason = hot.RevokedAt, hot.EndReason
}

// A storedRow is a row as it is written, and as it will be read.
type storedRow struct {
	row  sessions.Session
	data []byte
}

func encode(row *sessions.Session) (*storedRow, error) {
	data, err := rowcodec.Encode(row)
	if err != nil {
		return nil, unavailable(err)
	}
	stored, err := rowcodec.Decode(row.Key(), data)
	if err != nil {
		return nil, err
	}
	return &storedRow{row: stored, data: data}, nil
}

// changing adds the columns that an update may change: statements.changing.
func (w *storedRow) changing(a *args) *args {
	row := &w.row
	a.int(rowcodec.Format).bytes(hashHolder(row.UserID, row.ClientID))
	a.int(millis(row.ExpiresAt)).int(row.Idle.Milliseconds()).int(millis(row.PurgeAt()))
	a.int(int64(row.Generation)).bytes(row.Secret[:]).bytes(row.SecretPrev[:]).text(row.KeyID)
	a.int(millis(row.RotatedAt)).text(row.RotatedFrom)
	maybeMillis(a, row.RevokedAt).text(string(row.EndReason))
	return a.bytes(w.data)
}

// lasting adds the columns that are written once: statements.lasting.
func (w *storedRow) lasting(a *args) *args {
	row := &w.row
	return a.bytes(hashUser(row.UserID)).bytes(hashActor(&row.Actor)).bool(row.Impersonation).int(millis(row.CreatedAt))
}
