package feed

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/serverclock"
	"authsidecar/sessions/revocation"
	"authsidecar/sessions/rowcodec"
)

// ErrUnparsed means that a notification could not be parsed.
var ErrUnparsed = errors.New("a notification could not be parsed")

// ErrNoHeartbeat means that the heartbeats of this node do not come back.
var ErrNoHeartbeat = fmt.Errorf("%w: the heartbeat does not come back", sessions.ErrUnavailable)

// HeartbeatTimeout is how long no heartbeat may come back on a connection before another is tried.
const HeartbeatTimeout = 2 * revocation.FeedTimeout

// A Listener passes what it receives on one connection to a sink.
//
// To prove that it receives, the node sends a heartbeat to itself, on the path of revocations, and
// must receive it within revocation.FeedTimeout. This detects a pooler that swallows notifications,
// a listener connected to a server that nobody writes to any more, and a channel that lags.
type Listener struct {
	Node  string // identifies it among the nodes
	Clock *serverclock.Clock
	Sink  revocation.Sink
	// Name parses a name and what follows it.
	Name func(text string) (key sessions.Key, data string, ok bool)

	began time.Duration
	ready bool
	last  atomic.Int64 // when the newest received heartbeat was sent
}

// Begin is called when the connection has begun to listen.
func (l *Listener) Begin() { l.began = l.Clock.Passed() }

// Heartbeat returns the heartbeat to send now.
func (l *Listener) Heartbeat() string {
	return fmt.Sprintf("h %s %d", l.Node, l.Clock.Passed().Nanoseconds())
}

// SinceHeartbeat returns how long ago the last heartbeat came back, and whether one ever did.
func (l *Listener) SinceHeartbeat() (since time.Duration, heard bool) {
	last := l.last.Load()
	return l.Clock.Passed() - max(l.began, time.Duration(last)), last != 0
}

// Hear processes a notification. After ErrUnparsed, the sink must be given what is in the store.
func (l *Listener) Hear(payload string) error {
	words := strings.SplitN(payload, " ", 3)
	if len(words) != 3 {
		return ErrUnparsed
	}
	if words[0] == "h" {
		return l.heartbeat(words[1], words[2])
	}
	ms, err := strconv.ParseInt(words[1], 10, 64)
	key, data, ok := l.Name(words[2])
	if err != nil || !ok {
		return ErrUnparsed
	}
	at := time.UnixMilli(ms).UTC()
	switch {
	case words[0] == "r" && data == "":
		l.Sink.Revoked(key, at)
		return nil
	case words[0] == "c":
		c, err := rowcodec.DecodeCutoff(key.Realm, key.ID, at, []byte(data))
		if err != nil {
			return ErrUnparsed
		}
		l.Sink.Cutoff(c)
		return nil
	default:
		return ErrUnparsed
	}
}

// heartbeat processes a heartbeat. A late heartbeat proves nothing: other notifications are as late.
func (l *Listener) heartbeat(node, sent string) error {
	ns, err := strconv.ParseInt(sent, 10, 64)
	if err != nil {
		return ErrUnparsed
	}
	if node != l.Node || l.Clock.Passed()-time.Duration(ns) >= revocation.FeedTimeout {
		return nil
	}
	l.last.Store(ns)
	if !l.ready {
		l.ready = true
		l.Sink.Ready()
	}
	l.Sink.Alive()
	return nil
}
