package pgstore

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/revocation"
)

// What is said on the channel, in words:
//
//	r <ms> <realm> <id>          a session was revoked
//	c <ms> <realm> <id> <data>   a cutoff was added
//	h <node> <ns>                a node heard itself; ns is of its own clock
//	look                         something was ended whose name is too long for a notice
//
// Names are in base64, since they may hold any bytes.
const noticeLook = "look"

// mostNotified is the size of a notice that the server takes, with room to spare.
const mostNotified = 7900

var errNotice = errors.New("a notice on our channel cannot be read")

// name is how a notice names a session.
func name(key sessions.Key) string { return word(key.Realm) + " " + word(key.ID) }

// word writes any bytes so that they can stand in a line. An empty one is "-".
func word(s string) string {
	if s == "" {
		return "-"
	}
	return base64.RawStdEncoding.EncodeToString([]byte(s))
}

func unword(s string) (string, error) {
	if s == "-" {
		return "", nil
	}
	raw, err := base64.RawStdEncoding.DecodeString(s)
	if err != nil || len(raw) == 0 {
		return "", errNotice
	}
	return string(raw), nil
}

// cutoffNotice is what the feed says of a cutoff after its time; "" where that is too long
// for a notice.
func cutoffNotice(c *revocation.Cutoff, data []byte) string {
	notice := fmt.Sprintf("%s %s %s", word(c.Realm), word(c.ID), word(string(data)))
	if len(notice) > mostNotified {
		return ""
	}
	return notice
}

// A notice is what was heard.
type notice struct {
	kind byte // r, c, h or l
	key  sessions.Key
	at   time.Time
	data []byte
	node string
	sent time.Duration
}

// readNotice reads what was heard, strictly. Nobody may go on as if nothing had been
// said where it cannot be read.
func readNotice(payload string) (n notice, err error) {
	if payload == noticeLook {
		return notice{kind: 'l'}, nil
	}
	words := strings.Split(payload, " ")
	kind := words[0]
	switch {
	case kind == "h" && len(words) == 3:
		ns, err := strconv.ParseInt(words[2], 10, 64)
		return notice{kind: 'h', node: words[1], sent: time.Duration(ns)}, err
	case kind == "r" && len(words) == 4, kind == "c" && len(words) == 5:
		n.kind = kind[0]
	default:
		return n, errNotice
	}
	ms, err := strconv.ParseInt(words[1], 10, 64)
	if err != nil {
		return n, errNotice
	}
	n.at = fromMillis(ms)
	if n.key.Realm, err = unword(words[2]); err != nil {
		return n, err
	}
	if n.key.ID, err = unword(words[3]); err != nil || n.kind == 'r' {
		return n, err
	}
	data, err := unword(words[4])
	n.data = []byte(data)
	return n, err
}
