package banner

import (
	"mime"
	"net/http"
	"slices"
	"strings"
)

// An Outcome is what happened to the bar on a page.
type Outcome string

// The outcomes.
const (
	Added   Outcome = "added"
	Policy  Outcome = "policy"  // a policy of the page would not let the bar work
	Encoded Outcome = "encoded" // the app compresses although it was asked not to
	Charset Outcome = "charset" // appending ASCII is not safe in this charset
	Type    Outcome = "type"    // not HTML
	Partial Outcome = "partial" // only a part of a page
	Failed  Outcome = "failed"  // the handler left the response to others

	none Outcome = "" // no page is shown
)

// EndHeader is the header with which a response of the app ends the session: "end".
const EndHeader = "Auth-Session"

// outcomeOf returns what happens to the bar on a response with this header.
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

// hasPage reports whether a browser replaces the current page with the response.
func hasPage(status int, h http.Header) bool {
	switch {
	case status < 200, status == http.StatusNoContent, status == http.StatusResetContent, status >= 300 && status < 400:
		return false
	case h.Get("Content-Length") == "0", len(h[EndHeader]) > 0:
		return false
	}
	disposition, _, _ := strings.Cut(h.Get("Content-Disposition"), ";")
	disposition = strings.TrimSpace(disposition)
	return disposition == "" || strings.EqualFold(disposition, "inline") // anything else is a download (RFC 6266 section 4.2)
}

// asciiSafe reports whether appended ASCII is always read as ASCII in that charset. In UTF-16 it is
// not, and in ISO-2022-JP it depends on the preceding text. Charsets that browsers do not know are
// not safe.
func asciiSafe(charset string) bool {
	charset = strings.ToLower(charset)
	return charset == "" || slices.ContainsFunc(asciiCharsets, func(prefix string) bool { return strings.HasPrefix(charset, prefix) })
}

// asciiCharsets are prefixes of the names of charsets (WHATWG Encoding, section 4.2) that contain
// ASCII in any state.
var asciiCharsets = []string{"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-", "latin1", "windows-125", "cp125", "koi8-", "euc-", "gbk", "gb2312", "gb18030", "big5", "shift_jis", "shift-jis"}

// entityHeaders are headers that describe the bytes of a response, which change.
var entityHeaders = []string{"Content-Length", "Etag", "Last-Modified", "Accept-Ranges", "Content-Digest", "Repr-Digest", "Digest", "Content-Md5"}

// dropEntityHeaders removes the headers and trailers that no longer match the bytes of the response.
func dropEntityHeaders(h http.Header) {
	for _, name := range entityHeaders {
		delete(h, name)
		delete(h, http.TrailerPrefix+name)
	}
}
