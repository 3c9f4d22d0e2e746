package redisstore

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/sharedtest"
)

// A tripCounter stands before the server and writes down what clients ask for.
type tripCounter struct {
	mu    sync.Mutex
	asked []string // the names of commands
}

func (c *tripCounter) take() (asked []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	asked, c.asked = c.asked, nil
	return asked
}

// pass passes commands on, arrays of strings, once they are written down.
func (c *tripCounter) pass(client io.Reader, to io.Writer) {
	r := bufio.NewReader(client)
	for {
		var words, size int
		if _, err := fmt.Fscanf(r, "*%d\r\n", &words); err != nil {
			return
		}
		command := fmt.Appendf(nil, "*%d\r\n", words)
		for i := range words {
			if _, err := fmt.Fscanf(r, "$%d\r\n", &size); err != nil {
				return
			}
			text := make([]byte, size+2)
			if _, err := io.ReadFull(r, text); err != nil {
				return
			}
			command = append(fmt.Appendf(command, "$%d\r\n", size), text...)
			if i == 0 {
				c.mu.Lock()
				c.asked = append(c.asked, string(text[:size]))
				c.mu.Unlock()
			}
		}
		if _, err := to.Write(command); err != nil {
			return
		}
	}
}

// TestATransitionIsOneRoundTrip counts commands, of which none waits for less
// than one.
func TestATransitionIsOneRoundTrip(t *testing.T) {
	t.Parallel()
	var counter tripCounter
	port := sharedtest.Tap(t, server(t).Port, counter.pass, sharedtest.Forward)
	s := openStore(t, Options{URL: at(port)})
	for round := range 2 {
		row := sharedtest.Row(fmt.Sprint(round), s.Now())
		p := *sharedtest.Token(&row)
		for _, call := range []struct {
			name, want string
			do         func() error
		}{
			{"Create", "EVALSHA", func() error { _, _, _, err := s.Create(ctx(), row); return err }},
			{"Create of one that is there", "EVALSHA", func() error { _, _, _, err := s.Create(ctx(), row); return err }},
			{"Rotate", "EVALSHA", func() error { _, _, _, err := s.Rotate(ctx(), &p, &sessions.Fresh{KeyID: "k"}); return err }},
			{"Rotate of what is not live", "EVALSHA", func() error { _, _, _, err := s.Rotate(ctx(), &p, &sessions.Fresh{KeyID: "k"}); return err }},
			{"Revoke", "EVALSHA", func() error { _, _, err := s.Revoke(ctx(), row.Key(), sessions.EndRevoked); return err }},
			{"Get", "EVALSHA_RO", func() error { _, err := s.Get(ctx(), row.Key()); return err }},
		} {
			counter.take()
			if err := call.do(); err != nil {
				t.Errorf("%s: %v", call.name, err)
			}
			// In the first round the server learns the scripts.
			if got := strings.Join(counter.take(), " "); round == 1 && got != call.want {
				t.Errorf("%s: asks for %q, not %q", call.name, got, call.want)
			}
		}
	}
}
