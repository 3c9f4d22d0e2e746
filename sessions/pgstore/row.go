package pgstore

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/storedrow"
	"authsidecar/sessions/logout"
	"authsidecar/sessions/rowcodec"
)

// The column data contains the fields that rotations do not change, as encoded by rowcodec. The
// others have columns of their own, which take precedence over data.

// hash stands for one or several texts in an index; its length is fixed.
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

// holderOf returns the hash that a token of the row must match. A pending session has none.
func holderOf(row *sessions.Session) []byte {
	if row.Pending != nil {
		return nil
	}
	return hashHolder(row.UserID, row.ClientID)
}

// columns are the columns of a row, in the order of readRow.
const columns = "created_at, expires_at, rev, generation, secret, secret_prev, kid, rotated_at, rotated_from, revoked_at, end_reason, data"

// readRow reads the columns of a row.
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
	row, err = storedrow.Decode(key, data, &hot)
	return row, rev, err
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

// changing adds the columns that an update may change: statements.changing.
func (w *storedRow) changing(a *args) *args {
	row := &w.Session
	a.int(rowcodec.FormatOf(row)).bytes(holderOf(row))
	a.int(millis(row.ExpiresAt)).int(row.Idle.Milliseconds()).int(millis(row.PurgeAt()))
	a.int(int64(row.Generation)).bytes(row.Secret[:]).bytes(row.SecretPrev[:]).text(row.KeyID)
	a.int(millis(row.RotatedAt)).text(row.RotatedFrom)
	maybeMillis(a, row.RevokedAt).text(string(row.EndReason))
	return a.bytes(w.Data)
}

// lasting adds the columns that are written once: statements.lasting.
func (w *storedRow) lasting(a *args) *args {
	row := &w.Session
	a.bytes(hashUser(row.UserID)).bytes(hashActor(&row.Actor)).bool(row.Impersonation).int(millis(row.CreatedAt))
	sid, subject := logout.Names(row)
	return a.maybeText(sid).maybeText(subject)
}
