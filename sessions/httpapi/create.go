package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/strictjson"
)

// maxDepth is how deep the JSON of a body may nest.
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
	req, err := parseCreate(r, body)
	if err != nil {
		return err
	}
	req.Caller = caller
	req.IP, req.UserAgent = a.clientIP(r), r.UserAgent()
	grant, err := a.manager.Create(r.Context(), req)
	if err != nil {
		return err
	}
	writeGrant(w, grant)
	return nil
}

// parseCreate reads the request, strictly: what two parsers could read in two
// ways is refused.
func parseCreate(r *http.Request, body []byte) (*sessions.CreateRequest, error) {
	members, err := strictjson.Members(body, maxDepth)
	if err != nil {
		return nil, problemRequest
	}
	var req sessions.CreateRequest
	var hasUser bool
	for i := range members {
		value := members[i].Value
		switch members[i].Name {
		case "user_id":
			hasUser = true
			err = readString(&members[i], &req.UserID)
		case "expires_in_millis":
			req.Lifetime, err = readMillis(value)
		case "is_impersonation":
			// It says what the caller expects. What the session is, the policy says.
			err = readBool(value)
		case "reason":
			err = readString(&members[i], &req.Reason)
		case "client_id":
			err = readString(&members[i], &req.ClientID)
		default:
			err = problemRequest
		}
		if err != nil {
			return nil, err
		}
	}
	if !hasUser {
		return nil, problemRequest
	}
	req.IdempotencyKey, err = idempotencyKey(r.Header)
	return &req, err
}

func readString(member *strictjson.Member, into *string) error {
	text, ok := member.Text()
	if !ok {
		return problemRequest
	}
	*into = text
	return nil
}

func readBool(value json.RawMessage) error {
	if string(value) != "true" && string(value) != "false" {
		return problemRequest
	}
	return nil
}

// readMillis reads a whole number of milliseconds. One that is no life at all is
// left to the manager to refuse.
func readMillis(value json.RawMessage) (*time.Duration, error) {
	if bytes.ContainsAny(value, ".eE\"tfn[{") {
		return nil, problemRequest
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
