package redisstore

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"authsidecar/sessions"
)

// What is said on the channel:
//
//	r <ms> <label>        a session was revoked
//	c <ms> <label><data>  a cutoff was added
//	h <node> <ns>         a node heard itself; ns is of its own clock

var errNotice = errors.New("a notice on our channel cannot be read")

// A notice is what was heard.
type notice struct {
	kind byte // r, c or h
	key  sessions.Key
	at   time.Time
	data string
	node string
	sent time.Duration
}

// readNotice reads what was heard, strictly. Nobody may go on as if nothing had been
// said where it cannot be read.
func readNotice(payload string) (n notice, err error) {
	words := strings.SplitN(payload, " ", 3)
	if len(words) != 3 || len(words[0]) != 1 {
		return n, errNotice
	}
	n.kind = words[0][0]
	switch n.kind {
	case 'h':
		ns, err := strconv.ParseInt(words[2], 10, 64)
		n.node, n.sent = words[1], time.Duration(ns)
		return n, err
	case 'r', 'c':
	default:
		return n, errNotice
	}
	ms, err := strconv.ParseInt(words[1], 10, 64)
	if err != nil {
		return n, errNotice
	}
	n.at = fromMillis(ms)
	var ok bool
	n.key, n.data, ok = cutLabel(words[2])
	if !ok || (n.kind == 'r') != (n.data == "") {
		return n, errNotice
	}
	return n, nil
}
