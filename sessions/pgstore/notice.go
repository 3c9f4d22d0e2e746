package pgstore

import (
	"encoding/base64"
	"fmt"
	"strings"

	"authsidecar/sessions"
	"authsidecar/sessions/revocation"
)

// A name in a notification (package feed) is the realm, the id and, for a cutoff, its data: words
// in base64, since they may contain any bytes. noticeLook means that something was revoked whose
// name is too long for a notification.
const noticeLook = "look"

// maxNotified is the maximum size of a notification on the server, with a margin.
const maxNotified = 7900

// name returns how a notification names a session.
func name(key sessions.Key) string { return word(key.Realm) + " " + word(key.ID) }

// readName parses a name and the data after it.
func readName(text string) (key sessions.Key, data string, ok bool) {
	words := strings.Split(text, " ")
	if len(words) < 2 || len(words) > 3 {
		return key, "", false
	}
	plain := make([]string, 3)
	for i := range words {
		if plain[i], ok = unword(words[i]); !ok {
			return key, "", false
		}
	}
	return sessions.Key{Realm: plain[0], ID: plain[1]}, plain[2], true
}

// word encodes any bytes as a word; an empty one is "-".
func word(s string) string {
	if s == "" {
		return "-"
	}
	return base64.RawStdEncoding.EncodeToString([]byte(s))
}

func unword(s string) (plain string, ok bool) {
	if s == "-" {
		return "", true
	}
	raw, err := base64.RawStdEncoding.DecodeString(s)
	return string(raw), err == nil && len(raw) > 0
}

// cutoffNotice returns the notification of a cutoff after its time; "" if it is too long.
func cutoffNotice(c *revocation.Cutoff, data []byte) string {
	notice := fmt.Sprintf("%s %s %s", word(c.Realm), word(c.ID), word(string(data)))
	if len(notice) > maxNotified {
		return ""
	}
	return notice
}
