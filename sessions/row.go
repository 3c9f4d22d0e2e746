package sessions

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"
)

// rowFormat is the version of the encoding that this release writes. A release
// reads its own and every earlier one.
const rowFormat = 1

// row is the stored form of a Session: times in Unix milliseconds, bytes in
// base64url. Realm and ID are the key, not part of the value.
type row struct {
	Format int `json:"v"`
	Session
	Created    int64  `json:"created"`
	Expires    int64  `json:"expires"`
	IdleMillis int64  `json:"idle"`
	Generation uint64 `json:"gen"`
	Secret     string `json:"rnd"`
	SecretPrev string `json:"rnd_prev,omitempty"`
	Rotated    int64  `json:"rotated"`
	Revoked    int64  `json:"revoked,omitempty"`
	Request    string `json:"request,omitempty"`
}

var zeroSecret [SecretSize]byte

// EncodeRow gives the value under which a store keeps the session.
func EncodeRow(s *Session) ([]byte, error) {
	r := row{
		Format:     rowFormat,
		Session:    *s,
		Created:    s.CreatedAt.UnixMilli(),
		Expires:    s.ExpiresAt.UnixMilli(),
		IdleMillis: s.Idle.Milliseconds(),
		Generation: s.Generation,
		Secret:     base64.RawURLEncoding.EncodeToString(s.Secret[:]),
		Rotated:    s.RotatedAt.UnixMilli(),
		Request:    base64.RawURLEncoding.EncodeToString(s.RequestHash),
	}
	if s.SecretPrev != zeroSecret {
		r.SecretPrev = base64.RawURLEncoding.EncodeToString(s.SecretPrev[:])
	}
	if !s.RevokedAt.IsZero() {
		r.Revoked = s.RevokedAt.UnixMilli()
	}
	data, err := json.Marshal(&r)
	if err != nil {
		return nil, fmt.Errorf("encoding session row: %w", err)
	}
	return data, nil
}

// DecodeRow reads what EncodeRow gave, of this or an earlier release. A row of
// a later release is ErrNewerRow, an unreadable one wraps ErrUnavailable: in
// both cases nobody may guess what the session is.
func DecodeRow(key Key, data []byte) (Session, error) {
	var r row
	if err := json.Unmarshal(data, &r); err != nil {
		return Session{}, fmt.Errorf("%w: row is corrupt: %w", ErrUnavailable, err)
	}
	if r.Format > rowFormat {
		return Session{}, ErrNewerRow
	}
	s := r.Session
	s.Realm, s.ID = key.Realm, key.ID
	s.CreatedAt, s.ExpiresAt, s.RotatedAt = fromMillis(r.Created), fromMillis(r.Expires), fromMillis(r.Rotated)
	s.Idle = time.Duration(r.IdleMillis) * time.Millisecond
	s.Generation = r.Generation
	if r.Revoked != 0 {
		s.RevokedAt = fromMillis(r.Revoked)
	}
	err := decodeSecret(&s.Secret, r.Secret)
	if err == nil && r.SecretPrev != "" {
		err = decodeSecret(&s.SecretPrev, r.SecretPrev)
	}
	if err == nil && r.Request != "" {
		s.RequestHash, err = base64.RawURLEncoding.DecodeString(r.Request)
	}
	if err != nil {
		return Session{}, fmt.Errorf("%w: row is corrupt: %w", ErrUnavailable, err)
	}
	return s, nil
}

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

func decodeSecret(dst *[SecretSize]byte, text string) error {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return err
	}
	if len(raw) != SecretSize {
		return fmt.Errorf("secret has %d bytes", len(raw))
	}
	copy(dst[:], raw)
	return nil
}
