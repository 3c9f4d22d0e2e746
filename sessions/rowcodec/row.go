package rowcodec

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"sync"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/strictjson"
)

// A row is the stored form of a session. Members that are pointers are required, since a row
// without them cannot be trusted, unless the store has them elsewhere (EncodeRest).
type row struct {
	Version       rowVersion         `json:"v"`
	User          *string            `json:"user"`
	Client        string             `json:"client"`
	Impersonation bool               `json:"imp"`
	Reason        string             `json:"reason"`
	Actor         sessions.Principal `json:"actor"`
	ActorClient   string             `json:"actor_client"`
	ActorSub      string             `json:"actor_sub"`
	ActorSID      string             `json:"actor_sid"`
	ActorAuthAt   int64              `json:"actor_auth"` // seconds
	ActorClaims   sessions.Claims    `json:"claims"`
	ActorAbsent   []string           `json:"absent"`
	ActorWhole    bool               `json:"whole"`
	KeptAt        *int64             `json:"kept_at"`
	Kept          sessions.Claims    `json:"kept"`
	Rule          string             `json:"rule"`
	IP            string             `json:"ip"`
	UserAgent     string             `json:"ua"`
	ReportedBy    string             `json:"via"`
	KeyID         string             `json:"kid"`
	RotatedFrom   string             `json:"rip"`
	EndReason     sessions.EndReason `json:"end"`
	Created       int64              `json:"created"`
	Expires       *int64             `json:"expires"`
	Idle          *int64             `json:"idle"` // milliseconds
	Generation    *uint64            `json:"gen"`
	Secret        blob               `json:"rnd"`
	SecretPrev    blob               `json:"rnd_prev"`
	Rotated       *int64             `json:"rotated"`
	Revoked       *int64             `json:"revoked"`
	RequestHash   blob               `json:"request"`
	Cookies       bool               `json:"cookies"` // this and the following since version 2
	Confirmed     uint64             `json:"confirmed"`
	ConfirmedAt   *int64             `json:"confirmed_at"`
	Pending       *pending           `json:"pending"`
}

// pending is the stored form of sessions.Pending.
type pending struct {
	Life     int64  `json:"life"` // milliseconds
	ByActor  bool   `json:"by_actor"`
	ReturnTo string `json:"return_to"`
}

// rows are unused rows.
var rows = sync.Pool{New: func() any { return new(row) }}

// free clears a row and makes it available again.
func (r *row) free() {
	*r = row{}
	rows.Put(r)
}

// Encode returns the stored form of the session.
func Encode(s *sessions.Session) (data []byte, err error) {
	err = EncodeFor(s, func(value []byte) { data = bytes.Clone(value) })
	return data, err
}

// EncodeFor is Encode for a store that copies the value: its memory is reused once use has
// returned. After an error, use was not called.
func EncodeFor(s *sessions.Session, use func(value []byte)) error {
	return encodeFor(s, false, use)
}

// EncodeRest is Encode for a store that keeps elsewhere what a rotation changes, when the session
// begins and ends, and when and why it was revoked: it leaves all that out.
func EncodeRest(s *sessions.Session) (data []byte, err error) {
	err = encodeFor(s, true, func(value []byte) { data = bytes.Clone(value) })
	return data, err
}

func encodeFor(s *sessions.Session, rest bool, use func(value []byte)) error {
	if err := strictjson.Write(func(w *strictjson.Writer) { write(w, s, rest) }, use); err != nil {
		return fmt.Errorf("encoding session row: %w", err)
	}
	return nil
}

// write writes the members of a row, or the rest, in the form of earlier releases.
func write(w *strictjson.Writer, s *sessions.Session, rest bool) {
	w.Int("v", FormatOf(s))
	w.Text("user", s.UserID)
	w.Text("client", s.ClientID)
	w.True("imp", s.Impersonation)
	w.TextIfSet("reason", s.Reason)
	writeActor(w, s)
	if len(s.Kept) > 0 {
		writeTime(w, "kept_at", s.KeptAt)
		w.Value("kept", map[string]any(s.Kept))
	}
	w.TextIfSet("rule", s.Rule)
	w.TextIfSet("ip", s.IP)
	w.TextIfSet("ua", s.UserAgent)
	w.TextIfSet("via", s.ReportedBy)
	if rest {
		w.Text("kid", "") // stored rows contain both, empty
		w.Int("created", 0)
	} else {
		writeRotation(w, s)
	}
	if len(s.RequestHash) > 0 {
		writeBlob(w, "request", s.RequestHash)
	}
	writeCookies(w, s)
}

// writeRotation writes what EncodeRest leaves out.
func writeRotation(w *strictjson.Writer, s *sessions.Session) {
	w.Text("kid", s.KeyID)
	w.TextIfSet("rip", s.RotatedFrom)
	w.TextIfSet("end", string(s.EndReason))
	writeTime(w, "created", s.CreatedAt)
	writeTime(w, "expires", s.ExpiresAt)
	w.Int("idle", s.Idle.Milliseconds())
	w.Uint("gen", s.Generation)
	writeBlob(w, "rnd", s.Secret[:])
	if s.SecretPrev != ([sessions.SecretSize]byte{}) {
		writeBlob(w, "rnd_prev", s.SecretPrev[:])
	}
	writeTime(w, "rotated", s.RotatedAt)
	if !s.RevokedAt.IsZero() {
		writeTime(w, "revoked", s.RevokedAt)
	}
}

// writeActor writes the caller.
func writeActor(w *strictjson.Writer, s *sessions.Session) {
	w.Object("actor", func() {
		w.Text("iss", s.Actor.Issuer)
		w.Text("sub", s.Actor.Subject)
	})
	w.TextIfSet("actor_client", s.ActorClient)
	w.TextIfSet("actor_sub", s.ActorSub)
	w.TextIfSet("actor_sid", s.ActorSID)
	if !s.ActorAuthAt.IsZero() {
		w.Int("actor_auth", s.ActorAuthAt.Unix())
	}
	if len(s.ActorClaims) > 0 {
		w.Value("claims", map[string]any(s.ActorClaims))
	}
	if len(s.ActorAbsent) > 0 {
		w.Texts("absent", s.ActorAbsent)
	}
	w.True("whole", s.ActorWhole)
}

// writeCookies writes the members of version 2.
func writeCookies(w *strictjson.Writer, s *sessions.Session) {
	w.True("cookies", s.Cookies)
	if s.Confirmed > 0 {
		w.Uint("confirmed", s.Confirmed)
	}
	if !s.ConfirmedAt.IsZero() {
		writeTime(w, "confirmed_at", s.ConfirmedAt)
	}
	if p := s.Pending; p != nil {
		w.Object("pending", func() {
			w.Int("life", p.Life.Milliseconds())
			w.True("by_actor", p.ByActor)
			w.TextIfSet("return_to", p.ReturnTo)
		})
	}
}

func writeTime(w *strictjson.Writer, name string, t time.Time) { w.Int(name, t.UnixMilli()) }

func writeBlob(w *strictjson.Writer, name string, data []byte) {
	w.Text(name, base64.RawURLEncoding.EncodeToString(data))
}

// Decode decodes what Encode returned.
func Decode(key sessions.Key, data []byte) (sessions.Session, error) { return decode(key, data, false) }

// DecodeRest decodes what EncodeRest returned.
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
	if r.KeptAt != nil && len(r.Kept) > 0 { // meaningless without claims
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
