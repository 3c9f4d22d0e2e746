package banner

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"net/http"
	"time"

	"authsidecar/sessions/internal/endpoint"
)

// ScriptPath is the path of the script below our path, and StatePath that of the state that it
// fetches.
const (
	ScriptPath = "/banner.js"
	StatePath  = "/banner"
)

// Script is the script of the bar.
//
//go:embed banner.js
var Script []byte

// version is the query that identifies this version of the script.
var version = func() string {
	sum := sha256.Sum256(Script)
	return "v=" + hex.EncodeToString(sum[:6])
}()

const year = 365 * 24 * time.Hour

// Serve answers with the script. A versioned request may be cached forever.
func Serve(w http.ResponseWriter, r *http.Request) {
	age := time.Duration(0)
	if r.URL.RawQuery == version {
		age = year
	}
	endpoint.Publish(w, r, "text/javascript; charset=utf-8", age, Script)
}
