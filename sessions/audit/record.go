package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	"authsidecar/sessions"
)

// A Record is one thing that happened. It holds no token. What is empty is not
// written.
type Record struct {
	Event     string // what happened, as event.Kind and the constants say
	Issuer    string // whose sessions: the realm
	SessionID string
	UserID    string
	// Impersonation means that Actor is not the user.
	Impersonation bool
	Actor         sessions.Principal
	ClientID      string
	Rule          string             // that allowed it
	Reason        string             // why, in the caller's words
	EndReason     string             // why a session ended
	ClientIP      string             // where the request came from
	ReportedIP    string             // of the client of the caller who created the session, as they reported it
	By            sessions.Principal // who asked, where that is not the actor
	JTI           string             // of the token by which an issuer asked
	Method        string             // of a request that was made with the session
	Path          string
	Status        int    // of the answer to it
	Error         string // why it was denied, or failed
	RequestID     string // the UUID of a request that was refused, as its answer says it
	Note          string
}

// Events that are not event.Kind.
const (
	EventCreating   = "creating"   // a session is about to be stored
	EventOpening    = "opening"    // a link is about to be opened
	EventRefreshing = "refreshing" // a refresh token is about to be exchanged
	EventActing     = "acting"     // an unsafe request (RFC 9110 section 9.2.1) of an impersonated session is about to go on
	EventActed      = "acted"      // it was answered
	EventRefused    = "refused"    // a request that was made with a session did not get to the app: Error is the reason
	EventRotated    = "rotated"    // the chain goes on from another file
	EventRecovered  = "recovered"  // the file had lost or torn lines when it was opened
)

// RecordOf makes the record of an event.
func RecordOf(e *sessions.Event) *Record {
	s := e.Session
	r := &Record{
		Event: string(e.Kind), Issuer: s.Realm, SessionID: s.ID, UserID: s.UserID,
		Impersonation: s.Impersonation, Actor: s.Actor, ClientID: s.ClientID,
		Rule: s.Rule, Reason: s.Reason, EndReason: string(s.EndReason), ClientIP: e.IP, By: e.By, JTI: e.JTI,
	}
	if s.ReportedBy != "" {
		r.ReportedIP = s.IP
	}
	if s.Pending != nil {
		r.Note = "pending until " + s.End().UTC().Format("2006-01-02T15:04:05.000Z07:00")
	}
	if e.Err != nil {
		r.Error = e.Err.Error()
	}
	return r
}

// A Field is a named value of a record: a string, a bool or an int.
type Field struct {
	Name  string
	Value any
}

// Fields returns what the record says, in the order in which it is written: identities as
// they are, other text without what looks like a token, and of what is long both ends.
func (r *Record) Fields() []Field {
	fields := make([]Field, 0, 12)
	write := func(name, value string) {
		if value != "" {
			fields = append(fields, Field{name, shorten(value)})
		}
	}
	write("issuer", r.Issuer)
	write("session_id", r.SessionID)
	write("user_id", MaskIdentity(r.UserID))
	if r.UserID != "" {
		fields = append(fields, Field{"is_impersonation", r.Impersonation})
	}
	write("actor", MaskIdentity(r.Actor.Subject))
	write("actor_issuer", r.Actor.Issuer)
	write("client_id", MaskIdentity(r.ClientID))
	write("rule", r.Rule)
	write("reason", Mask(r.Reason))
	write("end_reason", r.EndReason)
	write("client_ip", r.ClientIP)
	write("reported_ip", r.ReportedIP)
	write("by", MaskIdentity(r.By.Subject))
	write("by_issuer", r.By.Issuer)
	write("jti", Mask(r.JTI))
	write("uuid", r.RequestID)
	write("method", Mask(r.Method))
	write("path", Mask(r.Path))
	if r.Status != 0 {
		fields = append(fields, Field{"status", r.Status})
	}
	write("error", Mask(r.Error))
	write("note", Mask(r.Note))
	return fields
}

// maxText is how much of a text is written, in bytes. A line of nothing but long texts fits
// maxLine then, even where each byte is escaped by six.
const maxText = 640

// shorten keeps both ends of a text that is too long, and a hash of all of it: so nobody
// who makes a text long keeps what they did out of the audit.
func shorten(text string) string {
	if len(text) <= maxText {
		return text
	}
	between := fmt.Sprintf("...[%d bytes sha256:%s]...", len(text), hashText(text))
	half := (maxText - len(between)) / 2
	return text[:half] + between + text[len(text)-half:]
}

// hashText names a text that is not written.
func hashText(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

var (
	// likeToken is what a JWT, or the beginning of one, looks like.
	likeToken = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}[A-Za-z0-9_.-]*`)
	// withClaims is one with its claims, or the beginning of them: nobody is called that.
	withClaims = regexp.MustCompile(`eyJ[A-Za-z0-9_-]+\.eyJ[A-Za-z0-9_.-]*`)
)

// Mask takes tokens out of a text, and parts of them: callers do put them where they do
// not belong. A hash stands for each, so that nobody makes two texts the same by naming
// things like tokens.
func Mask(text string) string { return mask(likeToken, text) }

// MaskIdentity is Mask for the name of somebody: what only begins like a token is a name.
func MaskIdentity(name string) string { return mask(withClaims, name) }

func mask(pattern *regexp.Regexp, text string) string {
	if !strings.Contains(text, "eyJ") {
		return text
	}
	return pattern.ReplaceAllStringFunc(text, func(token string) string { return "[token sha256:" + hashText(token) + "]" })
}

// encode writes the line of the record that comes after last, without its newline.
func (r *Record) encode(now time.Time, last Position) (line []byte, at Position, err error) {
	fields := append([]Field{
		{"seq", last.Seq + 1}, {"time", now.UTC().Format("2006-01-02T15:04:05.000Z07:00")}, {"event", r.Event},
	}, r.Fields()...)
	fields = append(fields, Field{"prev", last.Hash.String()})
	line = make([]byte, 0, 512)
	for i, f := range fields {
		value, err := json.Marshal(f.Value)
		if err != nil {
			return nil, at, err
		}
		line = append(line, ",\""...)
		if i == 0 {
			line[0] = '{'
		}
		line = append(append(line, f.Name...), "\":"...)
		line = append(line, value...)
	}
	at = Position{Seq: last.Seq + 1, Hash: hashOf(line)}
	line = append(line, hashMember...)
	line = append(line, at.Hash.String()...)
	return append(line, "\"}"...), at, nil
}
