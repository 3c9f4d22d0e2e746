package banner

import (
	"mime"
	"net/http"
	"slices"
	"strings"
)

// An Outcome is what became of the bar on a page.
type Outcome string

// The outcomes.
const (
	Added   Outcome = "added"
	Policy  Outcome = "policy"  // the page's policy would not let the bar work
	Encoded Outcome = "encoded" // the app compresses what it was asked for in plain
	Charset Outcome = "charset" // ASCII is not safe in it
	Type    Outcome = "type"    // it is not HTML
	Partial Outcome = "partial" // it is a part of a page
	Failed  Outcome = "failed"  // the handler left the answer to others, and the page is theirs

	none Outcome = "" // nobody sees a page
)

// EndHeader is the header by which an answer of the app says that the session is over: "end".
const EndHeader = "Auth-Session"

// outcomeOf returns what becomes of the bar on an answer, by its header.
func outcomeOf(status int, h http.Header) Outcome {
	switch {
	case status == http.StatusPartialContent:
		return Partial
	case !hasPage(status, h):
		return none
	}
	media, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	switch {
	case err != nil || media != "text/html" || len(h["Content-Type"]) != 1:
		return Type
	case len(h["Content-Encoding"]) > 0 && !slices.Equal(h["Content-Encoding"], []string{"identity"}):
		return Encoded
	case !asciiSafe(params["charset"]):
		return Charset
	default:
		return Added
	}
}

// hasPage reports whether a browser shows the answer in the place of the page that was there.
func hasPage(status int, h http.Header) bool {
	switch {
	case status < 200, status == http.StatusNoContent, status == http.StatusResetContent, status >= 300 && status < 400:
		return false
	case h.Get("Content-Length") == "0", len(h[EndHeader]) > 0:
		return false
	}
	disposition, _, _ := strings.Cut(h.Get("Content-Disposition"), ";")
	disposition = strings.TrimSpace(disposition)
	return disposition == "" || strings.EqualFold(disposition, "inline") // all else is a download (RFC 6266 section 4.2)
}

// asciiSafe reports whether ASCII behind a text in that charset is what it says: in UTF-16 it is
// not, and in ISO-2022-JP it depends on what was before it. What browsers do not know of is not.
func asciiSafe(charset string) bool {
	charset = strings.ToLower(charset)
	return charset == "" || slices.ContainsFunc(asciiCharsets, func(prefix string) bool { return strings.HasPrefix(charset, prefix) })
}

// asciiCharsets begin the names of charsets (WHATWG Encoding, section 4.2) that have ASCII at any
// place.
var asciiCharsets = []string{"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-", "latin1", "windows-125", "cp125", "koi8-", "euc-", "gbk", "gb2312", "gb18030", "big5", "shift_jis", "shift-jis"}

// ofEntity are headers that say something of the bytes of an answer, which change.
var ofEntity = []string{"Content-Length", "Etag", "Last-Modified", "Accept-Ranges", "Content-Digest", "Repr-Digest", "Digest", "Content-Md5"}

// forget removes what an answer says of bytes that are not its own any more; of its trailers too.
func forget(h http.Header) {
	for _, name := range ofEntity {
		delete(h, name)
		delete(h, http.TrailerPrefix+name)
	}
}
