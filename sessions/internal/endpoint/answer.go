package endpoint

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"authsidecar/sessions/strictjson"
)

// Write writes a response that only its reader may see and that no cache may store (RFC 6749
// section 5.1).
func Write(w http.ResponseWriter, status int, contentType string, data []byte) {
	values := []string{contentType, "no-store", "no-cache", "nosniff", strconv.Itoa(len(data))}
	header := w.Header()
	header["Content-Type"] = values[0:1:1]
	header["Cache-Control"] = values[1:2:2]
	header["Pragma"] = values[2:3:3]
	header["X-Content-Type-Options"] = values[3:4:4]
	header["Content-Length"] = values[4:5:5]
	w.WriteHeader(status)
	_, _ = w.Write(data)
}

// WriteJSON is Write for a value as JSON.
func WriteJSON(w http.ResponseWriter, status int, contentType string, value any) {
	err := strictjson.Marshal(value, func(data []byte) { Write(w, status, contentType, data) }, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		Write(w, http.StatusInternalServerError, contentType, nil)
	}
}

// WriteObject is Write with status 200 of an object with at least one member, which members writes.
func WriteObject(w http.ResponseWriter, contentType string, members func(j *strictjson.Writer)) {
	err := strictjson.Write(members, func(data []byte) { Write(w, http.StatusOK, contentType, data) })
	if err != nil {
		Write(w, http.StatusInternalServerError, contentType, nil)
	}
}

// Recover calls serve, and turns a panic into an error with its stack.
func Recover(serve func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return serve()
}
