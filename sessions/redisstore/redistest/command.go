package redistest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"
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
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{s.Addr()}, Password: Password,
		ForceSingleClient: true, // this node, not its cluster
		AlwaysRESP2:       true, DisableCache: true, DisableRetry: true,
	})
	if err != nil {
		return "", err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	reply, err := client.Do(ctx, client.B().Arbitrary(command...).Build()).ToAny()
	return text(reply), err
}

// text returns a reply as text.
func text(reply any) string {
	all, ok := reply.([]any)
	if !ok {
		return fmt.Sprint(reply)
	}
	lines := make([]string, len(all))
	for i, one := range all {
		lines[i] = text(one)
	}
	return strings.Join(lines, "\n")
}
