package redistest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Do sends a command to the server, and returns the reply: in lines, if it is an array.
func (s *Server) Do(t testing.TB, command ...string) string {
	t.Helper()
	out, err := s.do(command...)
	if err != nil {
		t.Fatalf("%q: %v", command, err)
	}
	return out
}

func (s *Server) do(command ...string) (string, error) {
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(conn, request("AUTH", Password)+request(command...)); err != nil {
		return "", err
	}
	r := bufio.NewReader(conn)
	if _, err := reply(r); err != nil {
		return "", err
	}
	return reply(r)
}

// request is a command as servers read it (RESP 2).
func request(command ...string) string {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "*%d\r\n", len(command))
	for _, word := range command {
		_, _ = fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(word), word)
	}
	return b.String()
}

// reply reads a reply (RESP 2).
func reply(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	kind, line := line[0], strings.TrimSuffix(line[1:], "\r\n")
	switch kind {
	case '-':
		return "", errors.New(line)
	case '+', ':':
		return line, nil
	}
	n, err := strconv.Atoi(line)
	if err != nil || n < 0 {
		return "", err
	}
	if kind == '$' {
		text := make([]byte, n+2)
		_, err := io.ReadFull(r, text)
		return string(text[:n]), err
	}
	lines := make([]string, n)
	for i := range lines {
		if lines[i], err = reply(r); err != nil {
			return "", err
		}
	}
	return strings.Join(lines, "\n"), nil
}
