package sidecartest

import (
	"bytes"
	"fmt"
	"testing"
)

func TestReload_SeesTwoSocketsOnOneAddress(t *testing.T) {
	t.Parallel()
	const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
	row := func(address, state string, socket int) string {
		return fmt.Sprintf("%4d: 0100007F:%s 00000000:0000 %s 00000000:00000000 00:00000000 00000000     0        0 %d 2 00000000e2862b56 100 0 0 10 0", 0, address, state, socket)
	}
	own := map[string]bool{"socket:[1]": true, "socket:[2]": true}
	for _, test := range []struct {
		name string
		rows []string
		want bool
	}{
		{"none", nil, false},
		{"one", []string{row("1F90", "0A", 1)}, false},
		{"two", []string{row("1F90", "0A", 1), row("1F91", "0A", 3), row("1F90", "0A", 2)}, true},
		{"of different addresses", []string{row("1F90", "0A", 1), row("1F91", "0A", 2)}, false},
		{"one of another process", []string{row("1F90", "0A", 1), row("1F90", "0A", 3)}, false},
		{"a connection of the same port", []string{row("1F90", "0A", 1), row("1F90", "01", 2)}, false},
	} {
		var table bytes.Buffer
		for _, line := range append([]string{head}, test.rows...) {
			fmt.Fprintf(&table, "%-149s\n", line)
		}
		if got := twice(&table, own); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}
