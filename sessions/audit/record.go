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

// A Record is one audited event. It contains no token. Empty fields are not written.
type Record struct {
	Event     string // an event.Kind or one of the constants below
	Issuer    string // our issuer: the realm of the session
	SessionID string
	UserID    string
	// Impersonation means that Actor is not the user.
	Impersonation bool
	Actor         sessions.Principal
	ClientID      string
	Rule          string             // the rule that allowed it
	Reason        string             // the caller's reason
	EndReason     string             // why the session was revoked
	ClientIP      string             // address of the request
	ReportedIP    string             // address of the caller's own client, as reported at creation
	By            sessions.Principal // who requested it, if not the actor
	JTI           string             // of the issuer's token that requested it
	Method        string             // of a request made with the session
	Path          string
	Status        int    // of the response to it
	Error         string // why it was denied or failed
	RequestID     string // UUID of a refused request, as in its response
	Note          string
}

// Events that are not an event.Kind.
const (
	EventCreating   = "creating"   // a session is about to be stored
	EventOpening    = "opening"    // a link is about to be opened
	EventRefreshing = "refreshing" // a refresh token is about to be exchanged
	EventActing     = "acting"     // an unsafe request (RFC 9110 section 9.2.1) of an impersonated session is about to be forwarded
	EventActed      = "acted"      // that request was answered
	EventRefused    = "refused"    // a request made with a session was not forwarded to the app: Error is the reason
	EventRotated    = "rotated"    // the chain continues from another file
	EventRecovered  = "recovered"  // lines were missing or torn when the file was opened
)

// RecordOf returns the record of an event.
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

// Fields returns the fields of the record in the order in which they are written. Identities are
// unchanged; other text is masked (Mask), and long text is shortened in the middle.
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

// maxText is the maximum size of a text in a record, in bytes. A line whose texts are all that long
// fits into maxLine, even if each byte is escaped as six.
const maxText = 640

// shorten keeps both ends of a text that is too long, and a hash of the whole, so that nobody can
// hide what they did behind long text.
func shorten(text string) string {
	if len(text) <= maxText {
		return text
	}
	between := fmt.Sprintf("...[%d bytes sha256:%s]...", len(text), hashText(text))
	half := (maxText - len(between)) / 2
	return text[:half] + between + text[len(text)-half:]
}

// hashText returns a hash that identifies a text that is not written.
func hashText(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

var (
	// likeToken matches what looks like a JWT, or like the beginning of one.
	likeToken = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}[A-Za-z0-9_.-]*`)
	// withClaims matches a JWT that includes its claims, or their beginning: nobody has such a
	// name.
	withClaims = regexp.MustCompile(`eyJ[A-Za-z0-9_-]+\.eyJ[A-Za-z0-9_.-]*`)
)

// Mask replaces tokens in a text, and parts of them: callers put them where they do not belong.
// Each is replaced by a hash, so that different texts stay different.
func Mask(text string) string { return mask(likeToken, text) }

// MaskIdentity is Mask for an identity: something that only begins like a token is left alone.
func MaskIdentity(name string) string { return mask(withClaims, name) }

func mask(pattern *regexp.Regexp, text string) string {
	if !strings.Contains(text, "eyJ") {
		return text
	}
	return pattern.ReplaceAllStringFunc(text, func(token string) string { return "[token sha256:" + hashText(token) + "]" })
}

// encode returns the line of the record after last, without its newline.
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
