package sessions

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
)

// DecodeRow reads what EncodeRow gave, of this or an earlier release. A row of
// a later release is ErrNewerRow, an unreadable one wraps ErrUnavailable: in
// both cases nobody may guess what the session is.
func DecodeRow(key Key, data []byte) (Session, error) {
	r := rowReader{scanner: scanner{data: data}, row: Session{Realm: key.Realm, ID: key.ID}}
	err := r.object(r.member)
	if err == nil {
		err = r.end()
	}
	switch {
	case errors.Is(err, ErrNewerRow):
		return Session{}, ErrNewerRow
	case err != nil:
		return Session{}, fmt.Errorf("%w: row is corrupt: %w", ErrUnavailable, err)
	case r.format < 1 || r.seen != needed:
		return Session{}, fmt.Errorf("%w: row is corrupt: members are missing", ErrUnavailable)
	}
	return r.row, nil
}

// Members without which a row says nothing that could be trusted.
const (
	seenUser = 1 << iota
	seenExpires
	seenIdle
	seenGeneration
	seenSecret
	seenRotated
	needed = 1<<iota - 1
)

// A rowReader reads one row.
type rowReader struct {
	scanner
	row    Session
	format int64
	seen   int
}

// member reads the value of one member. Of those it does not know, it believes
// that the format would be another if they mattered.
func (r *rowReader) member(name []byte) (err error) {
	s := &r.row
	switch string(name) {
	case fieldFormat:
		if r.format, err = r.int(); err == nil && r.format > rowFormat {
			return ErrNewerRow
		}
	case fieldCreated:
		err = r.time(&s.CreatedAt)
	case fieldExpires:
		r.seen |= seenExpires
		err = r.time(&s.ExpiresAt)
	case fieldRotated:
		r.seen |= seenRotated
		err = r.time(&s.RotatedAt)
	case fieldRevoked:
		err = r.time(&s.RevokedAt)
	case fieldIdle:
		r.seen |= seenIdle
		err = r.millis(&s.Idle)
	case fieldGeneration:
		r.seen |= seenGeneration
		s.Generation, err = r.uint()
	case fieldSecret:
		r.seen |= seenSecret
		err = r.secret(&s.Secret)
	case fieldSecretPrev:
		err = r.secret(&s.SecretPrev)
	case fieldRequest:
		s.RequestHash, err = r.bytes()
	default:
		err = r.words(string(name))
	}
	return err
}

// words reads the members that hold text, and those that are objects.
func (r *rowReader) words(name string) (err error) {
	s := &r.row
	switch name {
	case "user":
		r.seen |= seenUser
		s.UserID, err = r.string()
	case "imp":
		s.Impersonation, err = r.bool()
	case "actor":
		err = r.principal(&s.Actor)
	case "end":
		var text string
		text, err = r.string()
		s.EndReason = EndReason(text)
	default:
		if into := s.optional(name); into != nil {
			*into, err = r.string()
		} else {
			err = r.recorded(name)
		}
	}
	return err
}

// recorded reads the members that hold what the caller's token said.
func (r *rowReader) recorded(name string) (err error) {
	s := &r.row
	switch name {
	case "claims":
		if s.ActorClaims, err = r.claims(); len(s.ActorClaims) == 0 {
			s.ActorClaims = nil
		}
	case "absent":
		s.ActorAbsent, err = r.names()
	case "whole":
		s.ActorWhole, err = r.bool()
	case "kept":
		s.Kept, err = r.claims()
	case fieldKept:
		err = r.time(&s.KeptAt)
	default:
		_, err = r.value()
	}
	return err
}

func (r *rowReader) names() (names []string, err error) {
	err = r.list('[', ']', func() error {
		name, err := r.string()
		names = append(names, name)
		return err
	})
	return names, err
}

// optional returns the field of a text that a row may be without; nil where there is no
// such member.
func (s *Session) optional(name string) *string {
	switch name {
	case "client":
		return &s.ClientID
	case "reason":
		return &s.Reason
	case "actor_client":
		return &s.ActorClient
	case "actor_sub":
		return &s.ActorSub
	case "actor_sid":
		return &s.ActorSID
	case "rule":
		return &s.Rule
	case "ip":
		return &s.IP
	case "ua":
		return &s.UserAgent
	case "kid":
		return &s.KeyID
	case "rip":
		return &s.RotatedFrom
	default:
		return nil
	}
}

func (r *rowReader) principal(p *Principal) error {
	return r.object(func(name []byte) (err error) {
		switch string(name) {
		case "iss":
			p.Issuer, err = r.string()
		case "sub":
			p.Subject, err = r.string()
		default:
			_, err = r.value()
		}
		return err
	})
}

func (s *scanner) int() (int64, error) {
	text, _, err := s.literal()
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, errScan
	}
	return n, nil
}

func (s *scanner) uint() (uint64, error) {
	text, _, err := s.literal()
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, errScan
	}
	return n, nil
}

func (s *scanner) bool() (bool, error) {
	s.peek()
	value, err := s.word()
	b, ok := value.(bool)
	if err == nil && !ok {
		err = errScan
	}
	return b, err
}

func (s *scanner) time(at *time.Time) error {
	ms, err := s.int()
	*at = fromMillis(ms)
	return err
}

func (s *scanner) millis(d *time.Duration) error {
	ms, err := s.int()
	if err == nil && (ms > math.MaxInt64/int64(time.Millisecond) || ms < math.MinInt64/int64(time.Millisecond)) {
		return errScan
	}
	*d = time.Duration(ms) * time.Millisecond
	return err
}

func (s *scanner) bytes() ([]byte, error) {
	text, err := s.text()
	if err != nil || len(text) == 0 {
		return nil, err
	}
	raw, err := base64.RawURLEncoding.AppendDecode(nil, text)
	if err != nil {
		return nil, errScan
	}
	return raw, nil
}

func (s *scanner) secret(secret *[SecretSize]byte) error {
	text, err := s.text()
	if err != nil {
		return err
	}
	var buf [2 * SecretSize]byte
	if len(text) != base64.RawURLEncoding.EncodedLen(SecretSize) {
		return errScan
	}
	if n, err := base64.RawURLEncoding.Decode(buf[:], text); err != nil || n != SecretSize {
		return errScan
	}
	*secret = [SecretSize]byte(buf[:])
	return nil
}

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
