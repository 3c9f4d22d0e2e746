package audit_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"authsidecar/sessions/audit"
)

// Each line holds the hash of the one before it: whoever changes a line breaks the chain.
func Example() {
	dir, err := os.MkdirTemp("", "audit")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "audit.jsonl")

	writer, err := audit.Open(audit.Options{Path: path})
	if err != nil {
		panic(err)
	}
	for _, user := range []string{"alice", "bob"} {
		if _, err := writer.Append(&audit.Record{Event: "created", UserID: user}, true); err != nil {
			panic(err)
		}
	}
	if err := writer.Close(); err != nil {
		panic(err)
	}

	data, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	var good, bad audit.Chain
	fmt.Println(good.Read(bytes.NewReader(data)), good.Lines)
	err = bad.Read(bytes.NewReader(bytes.Replace(data, []byte("bob"), []byte("eve"), 1)))
	fmt.Println(err != nil, bad.Lines)
	// Output:
	// <nil> 2
	// true 1
}
