package endpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"time"
)

// Publish answers with a document that may be cached for maxAge, or says that it is unchanged.
func Publish(w http.ResponseWriter, r *http.Request, contentType string, maxAge time.Duration, data []byte) {
	sum := sha256.Sum256(data)
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	header := w.Header()
	header.Set("Content-Type", contentType)
	header.Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(maxAge/time.Second)))
	header.Set("ETag", tag)
	header.Set("X-Content-Type-Options", "nosniff")
	for _, name := range [...]string{"Range", "If-Match", "If-Unmodified-Since"} { // the document comes whole, or not
		delete(r.Header, name)
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}
