package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/strictjson"
)

// maxBody is the most that a request body may have, in bytes, maxDepth how deep
// its JSON may nest.
const (
	maxBody  = 4096
	maxDepth = 4
)

// create answers POST on our path.
func (a *API) create(w http.ResponseWriter, r *http.Request) error {
	caller, err := a.authenticate(r)
	if err != nil {
		return err
	}
	body, err := readBody(w, r)
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

// readBody reads a JSON body, no more than maxBody of it.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if !isJSON(r.Header.Values("Content-Type")) {
		return nil, problemMedia
	}
	if len(r.Header.Values("Content-Encoding")) != 0 {
		return nil, problemMedia
	}
	if r.ContentLength > maxBody {
		return nil, problemTooLarge
	}
	body, err := readAll(http.MaxBytesReader(w, r.Body, maxBody), r.ContentLength)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, problemTooLarge
	case err != nil:
		return nil, problemRequest // the client went away, or framed it wrongly
	}
	r.Body = http.NoBody // it is read
	return body, nil
}

// readAll is io.ReadAll for what has an expected size, or -1: few bodies are as large
// as what that begins with, or as small.
func readAll(from io.Reader, expected int64) ([]byte, error) {
	body := make([]byte, 0, max(expected, 0)+1) // room to find the end
	for {
		n, err := from.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case errors.Is(err, io.EOF):
			return body, nil
		case err != nil:
			return nil, err
		case len(body) == cap(body):
			body = slices.Grow(body, bytes.MinRead)
		}
	}
}

// isJSON tells whether there is one content type, and that of JSON in UTF-8.
func isJSON(contentTypes []string) bool {
	if len(contentTypes) != 1 {
		return false
	}
	if contentTypes[0] == "application/json" { // as nearly always
		return true
	}
	mediaType, params, err := mime.ParseMediaType(contentTypes[0])
	if err != nil || mediaType != "application/json" {
		return false
	}
	charset, ok := params["charset"]
	return !ok || strings.EqualFold(charset, "utf-8")
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
