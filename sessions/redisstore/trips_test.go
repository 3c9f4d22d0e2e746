package redisstore

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/redisstore/redistest"
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

func (c *tripCounter) listen(t *testing.T, port int) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				_ = client.Close()
				return
			}
			go func() {
				_, _ = io.Copy(client, server)
				_ = client.Close()
			}()
			go func() {
				c.pass(bufio.NewReader(client), server)
				_ = server.Close()
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

// pass passes commands on, arrays of strings, once they are written down.
func (c *tripCounter) pass(r *bufio.Reader, to io.Writer) {
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

// TestItem2_ATransitionIsOneRoundTrip counts commands, of which none waits for less
// than one.
func TestItem2_ATransitionIsOneRoundTrip(t *testing.T) {
	var counter tripCounter
	port := counter.listen(t, server(t).Port)
	s := openStore(t, Options{URL: redistest.URL(port, "", redistest.Password, 0)})
	for round := range 2 {
		row := testRow(fmt.Sprint(round), s.Now())
		p := sessions.Presented{Session: row.Key(), UserID: "alice", ClientID: "app", Secret: row.Secret}
		for _, call := range []struct {
			name, want string
			do         func() error
		}{
			{"Create", "EVALSHA", func() error { _, _, err := s.Create(ctx(), row); return err }},
			{"Create of one that is there", "EVALSHA", func() error { _, _, err := s.Create(ctx(), row); return err }},
			{"CreateCounted of one that begins", "EVALSHA", func() error {
				_, _, _, err := s.CreateCounted(ctx(), testRow(newPrefix(), time.Time{}))
				return err
			}},
			{"CreateCounted", "EVALSHA", func() error { _, _, _, err := s.CreateCounted(ctx(), testRow(newPrefix(), s.Now())); return err }},
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

// TestItem2_TheCountOfManyNodesIsNeverTooLow creates sessions of one user on four
// nodes at once: the last one counts them all.
func TestItem2_TheCountOfManyNodesIsNeverTooLow(t *testing.T) {
	for name, url := range map[string]string{"a server": server(t).URL(0), "a cluster": cluster(t).URL()} {
		t.Run(name, func(t *testing.T) {
			prefix := newPrefix()
			nodes := make([]*Store, 4)
			for i := range nodes {
				nodes[i] = openStore(t, Options{URL: url, Prefix: prefix})
			}
			for round := range 10 {
				var all sync.WaitGroup
				counts := make([]int, 16)
				for i := range counts {
					row := testRow(fmt.Sprint(round, "-", i), nodes[0].Now())
					row.UserID = fmt.Sprint("user-", round)
					all.Go(func() {
						_, created, count, err := nodes[i%4].CreateCounted(ctx(), row)
						if err != nil || !created {
							t.Error(created, err)
						}
						counts[i] = count
					})
				}
				all.Wait()
				seen := make(map[int]bool)
				for _, n := range counts {
					if n < 1 || n > len(counts) || seen[n] {
						t.Fatalf("round %d: the counts are %v", round, counts)
					}
					seen[n] = true
				}
			}
		})
	}
}
