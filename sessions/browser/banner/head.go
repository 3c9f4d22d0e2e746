package banner

import (
	"bytes"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// maxHead is how much of a page is searched for policies, in bytes.
const maxHead = 64 << 10

// headElements are the elements that do not end the head of a page (WHATWG HTML, section
// 13.2.6.4.4).
var headElements = []string{"html", "head", "base", "basefont", "bgsound", "link", "meta", "noframes", "noscript", "script", "style", "template", "title"}

// metaPolicies returns the policies in the head of a page that begins with start. Policies
// elsewhere have no effect (CSP Level 3, section 3.3).
func metaPolicies(start []byte) (found []policy) {
	if !bytes.Contains(bytes.ToLower(start), []byte("content-security-policy")) {
		return nil
	}
	z := html.NewTokenizer(bytes.NewReader(start))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return found
		case html.EndTagToken:
			if name, _ := z.TagName(); string(name) == "head" {
				return found
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			token := z.Token()
			if !slices.Contains(headElements, token.Data) {
				return found
			}
			if text, ok := policyOf(&token); ok {
				found = append(found, parsePolicy(text))
			}
		case html.TextToken, html.CommentToken, html.DoctypeToken:
		}
	}
}

// policyOf returns the policy that an element of the head sets.
func policyOf(t *html.Token) (text string, ok bool) {
	for _, a := range t.Attr {
		switch a.Key {
		case "http-equiv":
			ok = t.Data == "meta" && strings.EqualFold(a.Val, "content-security-policy")
		case "content":
			text = a.Val
		}
	}
	return text, ok
}

// isUTF16 reports whether the first bytes of a page mark it as UTF-16, which overrides its header
// (WHATWG HTML, section 13.2.3.2).
func isUTF16(start []byte) bool {
	return bytes.HasPrefix(start, []byte("\xfe\xff")) || bytes.HasPrefix(start, []byte("\xff\xfe"))
}
