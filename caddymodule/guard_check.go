package caddymodule

import (
	"path"
	"strings"
)

// checkGuards checks what impersonated sessions are kept from.
func (h *Handler) checkGuards() error {
	i := h.Impersonation
	if h.Identity == nil && i.ReadOnly {
		return wrong("impersonation.read_only", "impersonation: read_only needs identity: nobody would know whose request it is; add identity, or remove it")
	}
	if h.Identity == nil && i.Deny != nil {
		return wrong("impersonation.deny", "impersonation: deny needs identity: nobody would know whose request it is; add identity, or remove it")
	}
	if i.Deny == nil {
		return nil
	}
	for _, pattern := range i.Deny {
		if why := badPattern(pattern); why != "" {
			return wrong("impersonation.deny", "impersonation: deny %q %s: write paths, as in: deny /billing/* /account/delete", pattern, why)
		}
	}
	return checkList("impersonation.deny", "impersonation: deny", i.Deny)
}

// badPattern tells why no path could ever match the pattern, or others than it seems.
func badPattern(pattern string) string {
	plain := strings.ReplaceAll(pattern, "*", "x")
	switch {
	case !strings.HasPrefix(pattern, "/") && !strings.HasPrefix(pattern, "*"):
		return "starts neither with a slash nor with a star"
	case strings.ContainsAny(pattern, `%;?#\[]`):
		return `has one of % ; ? # \ [ ]`
	case strings.ContainsFunc(pattern, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return "has a blank"
	case path.Clean("/"+plain) != "/"+strings.Trim(plain, "/"):
		return "has empty or dotted segments"
	}
	return ""
}
