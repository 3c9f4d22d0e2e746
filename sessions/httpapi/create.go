package httpapi

import (
	"bytes"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"authsidecar/sessions"
	"authsidecar/sessions/strictjson"
	"authsidecar/sessions/urlpath"
)

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

// createShape is its shape.
var createShape = bodyShape{
	want:     "one JSON object with user_id, and optionally expires_in_millis, is_impersonation, reason, client_id, client, deliver and return_to, each at most once and of its type.",
	required: "user_id", missing: "user_id is missing: say whom the session is for.",
	members: map[string]member{
		"user_id":           aString,
		"expires_in_millis": {"a whole number", []jsontext.Kind{jsontext.KindNumber}},
		"is_impersonation":  {"true or false", []jsontext.Kind{jsontext.KindTrue, jsontext.KindFalse}},
		"reason":            aString,
		"client_id":         aString,
		"deliver":           aString,
		"return_to":         aString,
		"client":            {wantReported, []jsontext.Kind{jsontext.KindBeginObject}},
	},
}

// parseCreate parses the request. way is how to deliver the tokens.
func parseCreate(r *http.Request, data []byte) (req *sessions.CreateRequest, way string, err error) {
	var body createBody
	if err := createShape.readObject(data, &body); err != nil {
		return nil, "", err
	}
	// The member states what the caller expects. What the session is, the policy decides.
	if kind := body.Impersonation.Kind(); !body.User.Present || body.Impersonation != nil && kind != jsontext.KindTrue && kind != jsontext.KindFalse {
		return nil, "", createShape.problem(data)
	}
	req = &sessions.CreateRequest{UserID: body.User.String, Reason: body.Reason.String, ClientID: body.Client.String, ReturnTo: body.ReturnTo.String}
	if body.ReturnTo.Present && !urlpath.Local(req.ReturnTo) {
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
	if way = inBody; body.Deliver.Present {
		way = body.Deliver.String
	}
	return req, way, err
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
		return invalidRequest("client must be " + wantReported + ".")
	}
	req.ReportedAgent = body.UserAgent.String
	return nil
}

// readMillis reads a whole number of milliseconds. The manager refuses numbers that are not valid
// lifetimes.
func readMillis(value jsontext.Value) (*time.Duration, error) {
	if value.Kind() != jsontext.KindNumber || bytes.ContainsAny(value, ".eE") {
		return nil, invalidRequest("expires_in_millis must be " + createShape.members["expires_in_millis"].want + ".")
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
