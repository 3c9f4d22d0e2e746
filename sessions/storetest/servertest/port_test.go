package servertest

import (
	"fmt"
	"net"
	"testing"
)

func TestPort_IsGivenToNobodyElse(t *testing.T) {
	address := fmt.Sprint("127.0.0.1:", Port(t))
	if conn, err := net.Dial("tcp", address); err == nil {
		_ = conn.Close()
		t.Fatal("somebody listens")
	}
	for range 500 {
		other, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = other.Close() }()
		if other.Addr().String() == address {
			t.Fatal("it was given to somebody who asked for any port")
		}
	}
	for range 2 { // a server that is started again
		server, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Close(), server.Close()
	}
}
