package httpapi

import (
	"bytes"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"authsidecar/sessions"
	"authsidecar/sessions/strictjson"
	"authsidecar/sessions/urlpath"
)

// maxDepth limits the nesting of JSON in a body.
const maxDepth = 4

// create answers POST on our path.
func (a *API) create(w http.ResponseWriter, r *http.Request) error {
	caller, err := a.authenticate(r)
	if err != nil {
		return err
	}
	body, err := a.readBody(w, r)
	if err != nil {
		return err
	}
	req, way, err := parseCreate(r, body)
	if err != nil {
		return err
	}
	req.Caller = caller
	req.IP, req.UserAgent = a.ClientIP(r), r.UserAgent()
	if err := a.prepare(r, way, req); err != nil {
		return err
	}
	grant, err := a.Manager.Create(r.Context(), req)
	if err != nil {
		return err
	}
	return a.answer(w, r, way, grant)
}

// createBody is the body of a request to create a session.
type createBody struct {
	User          strictjson.Text `json:"user_id"`
	Lifetime      jsontext.Value  `json:"expires_in_millis"`
	Impersonation jsontext.Value  `json:"is_impersonation"`
	Reason        strictjson.Text `json:"reason"`
	Client        strictjson.Text `json:"client_id"`
	Deliver       strictjson.Text `json:"deliver"`
	ReturnTo      strictjson.Text `json:"return_to"`
	Reported      jsontext.Value  `json:"client"`
}

// reportedBody is its member client: the caller's own client.
type reportedBody struct {
	IP        strictjson.Text `json:"ip"`
	UserAgent strictjson.Text `json:"user_agent"`
}

// parseCreate parses the request strictly: anything that two parsers could read differently is
// refused. way is how to deliver the tokens.
func parseCreate(r *http.Request, data []byte) (req *sessions.CreateRequest, way string, err error) {
	var body createBody
	if strictjson.Unmarshal(data, maxDepth, &body, json.RejectUnknownMembers(true)) != nil || !body.User.There {
		return nil, "", memberProblem(data)
	}
	// The member states what the caller expects. What the session is, the policy decides.
	if kind := body.Impersonation.Kind(); body.Impersonation != nil && kind != jsontext.KindTrue && kind != jsontext.KindFalse {
		return nil, "", memberProblem(data)
	}
	req = &sessions.CreateRequest{UserID: body.User.String, Reason: body.Reason.String, ClientID: body.Client.String, ReturnTo: body.ReturnTo.String}
	if body.ReturnTo.There && !urlpath.Local(req.ReturnTo) {
		return nil, "", ErrReturnTo
	}
	if body.Lifetime != nil {
		if req.Lifetime, err = readMillis(body.Lifetime); err != nil {
			return nil, "", err
		}
	}
	if body.Reported != nil {
		if err = readReported(body.Reported, req); err != nil {
			return nil, "", err
		}
	}
	req.IdempotencyKey, err = idempotencyKey(r.Header)
	if way = inBody; body.Deliver.There {
		way = body.Deliver.String
	}
	return req, way, err
}

// createMembers are the members of a body and their allowed JSON types.
var createMembers = map[string]struct {
	want  string
	kinds []jsontext.Kind
}{
	"user_id":           {"a string", []jsontext.Kind{jsontext.KindString}},
	"expires_in_millis": {"a whole number", []jsontext.Kind{jsontext.KindNumber}},
	"is_impersonation":  {"true or false", []jsontext.Kind{jsontext.KindTrue, jsontext.KindFalse}},
	"reason":            {"a string", []jsontext.Kind{jsontext.KindString}},
	"client_id":         {"a string", []jsontext.Kind{jsontext.KindString}},
	"deliver":           {"a string", []jsontext.Kind{jsontext.KindString}},
	"return_to":         {"a string", []jsontext.Kind{jsontext.KindString}},
	"client":            {wantReported, []jsontext.Kind{jsontext.KindBeginObject}},
}

// memberProblem returns the problem that names the wrong member of a refused body, if there is one.
// It repeats an unknown name only if it is spelled like ours, since any text may be there.
func memberProblem(data []byte) *Problem {
	members, err := strictjson.Members(data, maxDepth)
	if err != nil {
		return problemRequest
	}
	named := false
	for i := range members {
		name := members[i].Name
		known, ok := createMembers[name]
		switch {
		case !ok && isMemberName(name):
			return wrongMember("There is no member " + name + ": the body has user_id, and optionally expires_in_millis, is_impersonation, reason, client_id, client, deliver and return_to.")
		case !ok:
			return problemRequest
		case !slices.Contains(known.kinds, members[i].Value.Kind()):
			return wrongMember(name + " must be " + known.want + ".")
		}
		named = named || name == "user_id"
	}
	if !named {
		return wrongMember("user_id is missing: say whom the session is for.")
	}
	return problemRequest
}

// isMemberName reports whether a name is short and spelled like the members of an API.
func isMemberName(name string) bool {
	return name != "" && len(name) <= 32 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-") == ""
}

func wrongMember(detail string) *Problem {
	return NewProblem(problemRequest.Status, problemRequest.Code, problemRequest.Title, detail)
}

const wantReported = "an object with ip, an IP address, and optionally user_agent, a string"

// readReported reads the caller's own client. It normalizes the address.
func readReported(value jsontext.Value, req *sessions.CreateRequest) error {
	var body reportedBody
	err := strictjson.Unmarshal(value, maxDepth, &body, json.RejectUnknownMembers(true))
	if err == nil {
		req.ReportedIP, err = netip.ParseAddr(body.IP.String)
	}
	if err != nil || req.ReportedIP.Zone() != "" { // a zone is meaningful on one machine only (RFC 4007 section 6)
		return wrongMember("client must be " + wantReported + ".")
	}
	req.ReportedAgent = body.UserAgent.String
	return nil
}

// readMillis reads a whole number of milliseconds. The manager refuses numbers that are not valid
// lifetimes.
func readMillis(value jsontext.Value) (*time.Duration, error) {
	if value.Kind() != jsontext.KindNumber || bytes.ContainsAny(value, ".eE") {
		return nil, wrongMember("expires_in_millis must be " + createMembers["expires_in_millis"].want + ".")
	}
	millis, err := strconv.ParseInt(string(value), 10, 64)
	const most = int64(1<<63-1) / int64(time.Millisecond)
	if err != nil || millis > most || millis < -most {
		return nil, problemLifetime
	}
	life := time.Duration(millis) * time.Millisecond
	return &life, nil
}

func idempotencyKey(header http.Header) (string, error) {
	values := header.Values("Idempotency-Key")
	if len(values) == 0 {
		return "", nil
	}
	key := values[0]
	if len(values) > 1 || key == "" || len(key) > 255 {
		return "", problemKey
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return "", problemKey
		}
	}
	return key, nil
}
