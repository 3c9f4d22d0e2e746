package backup_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"authsidecar/caddymodule/backup"
)

func ExampleRead() {
	dir, err := os.MkdirTemp("", "backup")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := os.WriteFile(filepath.Join(dir, "000001.sst"), []byte("rows"), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	var archive bytes.Buffer
	if err := backup.Write(&archive, dir, "pebble", time.Date(2026, 11, 27, 3, 0, 0, 0, time.UTC)); err != nil {
		fmt.Println(err)
		return
	}
	contents, err := backup.Read(&archive, func(name string, content io.Reader) error {
		data, err := io.ReadAll(content)
		fmt.Printf("%s: %s\n", name, data)
		return err
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("made of", contents.Engine)
	// Output:
	// 000001.sst: rows
	// made of pebble
}
