package rowcodec

import (
	"bytes"
	"fmt"
	"sync"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/strictjson"
)

// A row is the value of a session. Members that are pointers must be there: without them
// a row says nothing that could be trusted, unless the store has them itself (EncodeRest).
type row struct {
	Version       rowVersion         `json:"v"`
	User          *string            `json:"user"`
	Client        string             `json:"client"`
	Impersonation bool               `json:"imp,omitzero"`
	Reason        string             `json:"reason,omitzero"`
	Actor         sessions.Principal `json:"actor"`
	ActorClient   string             `json:"actor_client,omitzero"`
	ActorSub      string             `json:"actor_sub,omitzero"`
	ActorSID      string             `json:"actor_sid,omitzero"`
	ActorAuthAt   int64              `json:"actor_auth,omitzero"` // in seconds
	ActorClaims   sessions.Claims    `json:"claims,omitempty"`
	ActorAbsent   []string           `json:"absent,omitempty"`
	ActorWhole    bool               `json:"whole,omitzero"`
	KeptAt        *int64             `json:"kept_at,omitzero"`
	Kept          sessions.Claims    `json:"kept,omitempty"`
	Rule          string             `json:"rule,omitzero"`
	IP            string             `json:"ip,omitzero"`
	UserAgent     string             `json:"ua,omitzero"`
	ReportedBy    string             `json:"via,omitzero"`
	KeyID         string             `json:"kid"`
	RotatedFrom   string             `json:"rip,omitzero"`
	EndReason     sessions.EndReason `json:"end,omitzero"`
	Created       int64              `json:"created"`
	Expires       *int64             `json:"expires,omitzero"`
	Idle          *int64             `json:"idle,omitzero"` // milliseconds
	Generation    *uint64            `json:"gen,omitzero"`
	Secret        blob               `json:"rnd,omitempty"`
	SecretPrev    blob               `json:"rnd_prev,omitempty"`
	Rotated       *int64             `json:"rotated,omitzero"`
	Revoked       *int64             `json:"revoked,omitzero"`
	RequestHash   blob               `json:"request,omitempty"`
	Cookies       bool               `json:"cookies,omitzero"` // it and the rest since version 2
	Confirmed     uint64             `json:"confirmed,omitzero"`
	ConfirmedAt   *int64             `json:"confirmed_at,omitzero"`
	Pending       *pending           `json:"pending,omitzero"`
}

// pending is what a session waits with until its link is opened.
type pending struct {
	Life     int64  `json:"life"` // milliseconds
	ByActor  bool   `json:"by_actor,omitzero"`
	ReturnTo string `json:"return_to,omitzero"`
}

// rows are those that nobody reads or writes now.
var rows = sync.Pool{New: func() any { return new(row) }}

// free gives a row back, without what it says.
func (r *row) free() {
	*r = row{}
	rows.Put(r)
}

// Encode returns the value under which a store keeps the session.
func Encode(s *sessions.Session) (data []byte, err error) {
	err = EncodeFor(s, func(value []byte) { data = bytes.Clone(value) })
	return data, err
}

// EncodeFor is Encode for a store that copies the value: its memory is that of others as
// soon as use returns. Where the error is not nil, use was not called.
func EncodeFor(s *sessions.Session, use func(value []byte)) error {
	return encodeFor(s, false, use)
}

// EncodeRest is Encode for a store that keeps in a place of its own what a rotation changes, when
// the session begins, ends and was revoked, and why: without all these.
func EncodeRest(s *sessions.Session) (data []byte, err error) {
	err = encodeFor(s, true, func(value []byte) { data = bytes.Clone(value) })
	return data, err
}

func encodeFor(s *sessions.Session, rest bool, use func(value []byte)) error {
	r := rows.Get().(*row)
	defer r.free()
	r.fill(s)
	if rest {
		r.KeyID, r.RotatedFrom, r.EndReason, r.Created = "", "", "", 0
		r.Expires, r.Idle, r.Generation, r.Rotated, r.Revoked, r.Secret, r.SecretPrev = nil, nil, nil, nil, nil, nil, nil
	}
	if err := strictjson.Marshal(r, use, options); err != nil {
		return fmt.Errorf("encoding session row: %w", err)
	}
	return nil
}

func (r *row) fill(s *sessions.Session) {
	expires, idle, rotated := s.ExpiresAt.UnixMilli(), s.Idle.Milliseconds(), s.RotatedAt.UnixMilli()
	*r = row{
		Version: rowVersion(FormatOf(s)), User: &s.UserID, Client: s.ClientID, Impersonation: s.Impersonation, Reason: s.Reason,
		Actor: s.Actor, ActorClient: s.ActorClient, ActorSub: s.ActorSub, ActorSID: s.ActorSID,
		ActorClaims: s.ActorClaims, ActorAbsent: s.ActorAbsent, ActorWhole: s.ActorWhole, Kept: s.Kept,
		Rule: s.Rule, IP: s.IP, UserAgent: s.UserAgent, ReportedBy: s.ReportedBy, KeyID: s.KeyID, RotatedFrom: s.RotatedFrom, EndReason: s.EndReason,
		Created: s.CreatedAt.UnixMilli(), Expires: &expires, Idle: &idle, Generation: &s.Generation,
		Secret: s.Secret[:], Rotated: &rotated, RequestHash: s.RequestHash,
		Cookies: s.Cookies, Confirmed: s.Confirmed,
	}
	if !s.ActorAuthAt.IsZero() {
		r.ActorAuthAt = s.ActorAuthAt.Unix()
	}
	if len(s.Kept) > 0 {
		r.KeptAt = new(s.KeptAt.UnixMilli())
	}
	if p := s.Pending; p != nil {
		r.Pending = &pending{Life: p.Life.Milliseconds(), ByActor: p.ByActor, ReturnTo: p.ReturnTo}
	}
	if s.SecretPrev != ([sessions.SecretSize]byte{}) {
		r.SecretPrev = s.SecretPrev[:]
	}
	if !s.ConfirmedAt.IsZero() {
		r.ConfirmedAt = new(s.ConfirmedAt.UnixMilli())
	}
	if !s.RevokedAt.IsZero() {
		r.Revoked = new(s.RevokedAt.UnixMilli())
	}
}

// Decode reads what Encode gave.
func Decode(key sessions.Key, data []byte) (sessions.Session, error) { return decode(key, data, false) }

// DecodeRest reads what EncodeRest gave.
func DecodeRest(key sessions.Key, data []byte) (sessions.Session, error) {
	return decode(key, data, true)
}

func decode(key sessions.Key, data []byte, rest bool) (sessions.Session, error) {
	r := rows.Get().(*row)
	defer r.free()
	if err := unmarshal(data, r, "row"); err != nil {
		return sessions.Session{}, err
	}
	s := sessions.Session{
		Realm: key.Realm, ID: key.ID, ClientID: r.Client, Impersonation: r.Impersonation, Reason: r.Reason,
		Actor: r.Actor, ActorClient: r.ActorClient, ActorSub: r.ActorSub, ActorSID: r.ActorSID,
		ActorClaims: r.ActorClaims, ActorAbsent: r.ActorAbsent, ActorWhole: r.ActorWhole, Kept: r.Kept,
		Rule: r.Rule, IP: r.IP, UserAgent: r.UserAgent, ReportedBy: r.ReportedBy, KeyID: r.KeyID, RotatedFrom: r.RotatedFrom, EndReason: r.EndReason,
		CreatedAt: fromMillis(r.Created), RequestHash: r.RequestHash, Cookies: r.Cookies, Confirmed: r.Confirmed,
	}
	if rest {
		r.Expires, r.Idle, r.Generation, r.Rotated = new(int64), new(int64), new(uint64), new(int64)
		r.Secret = make([]byte, sessions.SecretSize)
	}
	ok := r.Version > 0 && r.User != nil && r.Expires != nil && r.Idle != nil && r.Generation != nil && r.Rotated != nil &&
		r.Secret.fill(&s.Secret) && (r.SecretPrev == nil || r.SecretPrev.fill(&s.SecretPrev))
	if !ok || *r.Idle != time.Duration(*r.Idle*int64(time.Millisecond)).Milliseconds() {
		return sessions.Session{}, corrupt("row")
	}
	s.UserID, s.Generation = *r.User, *r.Generation
	s.ExpiresAt, s.RotatedAt, s.Idle = fromMillis(*r.Expires), fromMillis(*r.Rotated), time.Duration(*r.Idle)*time.Millisecond
	if r.ActorAuthAt != 0 {
		s.ActorAuthAt = time.Unix(r.ActorAuthAt, 0).UTC()
	}
	if r.KeptAt != nil {
		s.KeptAt = fromMillis(*r.KeptAt)
	}
	if r.ConfirmedAt != nil {
		s.ConfirmedAt = fromMillis(*r.ConfirmedAt)
	}
	if p := r.Pending; p != nil {
		s.Pending = &sessions.Pending{Life: time.Duration(p.Life) * time.Millisecond, ByActor: p.ByActor, ReturnTo: p.ReturnTo}
	}
	if r.Revoked != nil {
		s.RevokedAt = fromMillis(*r.Revoked)
	}
	return s, nil
}

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
