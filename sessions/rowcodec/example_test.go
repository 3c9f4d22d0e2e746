package rowcodec_test

import (
	"errors"
	"fmt"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/rowcodec"
)

// A store keeps the value under the key of the session. A value of a later release is not
// guessed at.
func Example() {
	begin := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	row := sessions.Session{
		Realm: "https://app.example.com", ID: "s1", UserID: "alice", ClientID: "app", KeyID: "k1",
		CreatedAt: begin, RotatedAt: begin, ExpiresAt: begin.Add(time.Hour), Idle: time.Hour,
	}
	value, err := rowcodec.Encode(&row)
	if err != nil {
		panic(err)
	}
	read, err := rowcodec.Decode(row.Key(), value)
	fmt.Println(read.UserID, read.ExpiresAt.Sub(read.CreatedAt), err)

	_, err = rowcodec.Decode(row.Key(), []byte(`{"v":99}`))
	fmt.Println(errors.Is(err, rowcodec.ErrNewer), errors.Is(err, sessions.ErrUnavailable))
	// Output:
	// alice 1h0m0s <nil>
	// true true
}
