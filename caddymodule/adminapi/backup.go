package adminapi

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"authsidecar/caddymodule/backup"
	"authsidecar/sessions"
)

// scratchName is the prefix of copies that are being sent. They are in the store's own directory,
// where they take almost no space.
const scratchName = "BACKUP-"

// backupLock is held while a backup is made; only one is made at a time.
var backupLock sync.Mutex

// chunkTimeout is how long a client may take to receive a chunk of a backup.
const chunkTimeout = time.Minute

// A checkpointer is a store that can make a consistent copy of itself while it serves: the embedded
// one.
type checkpointer interface {
	// Checkpoint makes the copy in dir, which must not exist. It contains everything that was
	// acknowledged before the call.
	Checkpoint(ctx context.Context, dir string) error
}

// sendBackup answers GET backup with a consistent copy of an embedded store, as a tar file that
// backup.Read reads. It contains everything that was acknowledged before the request.
func sendBackup(w http.ResponseWriter, r *request) (any, error) {
	inst, err := r.instanceOfOneStore()
	if err != nil {
		return nil, err
	}
	source, ok := sessions.As[checkpointer](inst.Manager.Store)
	if !ok {
		return nil, refuse(http.StatusNotImplemented,
			"store %s makes no copy of itself: back it up with the tools of its engine, or carry it over with caddy auth-sessions copy", inst.Engine)
	}
	if !backupLock.TryLock() {
		return nil, refuse(http.StatusConflict, "another backup is under way: wait for it")
	}
	defer backupLock.Unlock()
	dir, err := scratch(inst.CopyDir)
	if err != nil {
		return nil, err
	}
	defer func() { RemoveCopies(filepath.Dir(dir)) }()
	// Caddy's timeout for reading a request would end it.
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("giving a backup its time: %w", err)
	}
	if err := source.Checkpoint(context.WithoutCancel(r.Context()), dir); err != nil {
		return nil, err
	}
	name := backup.Name(time.Now())
	w.Header().Set("Content-Type", "application/x-tar")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	paced := &pacedWriter{w: w, allow: func() error { return control.SetWriteDeadline(time.Now().Add(chunkTimeout)) }}
	if err := backup.Write(paced, dir, inst.Engine, time.Now()); err != nil {
		inst.Logger.Error("backup was aborted; the client received an incomplete file", zap.Error(err))
		panic(http.ErrAbortHandler) // a body that ends normally would pass for a complete one
	}
	return nil, nil
}

// scratch returns a name for a copy that is about to be sent, after removing leftover copies.
func scratch(dir func() (string, error)) (string, error) {
	parent, err := dir()
	if err != nil {
		return "", fmt.Errorf("finding the store's directory: %w", err)
	}
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return "", fmt.Errorf("making a directory for a copy: %w", err)
	}
	RemoveCopies(parent)
	return filepath.Join(parent, scratchName+rand.Text()[:12]), nil
}

// RemoveCopies removes leftover copies from a directory, including those of a process that ended
// while sending one.
func RemoveCopies(parent string) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return // the directory does not exist
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), scratchName) {
			_ = os.RemoveAll(filepath.Join(parent, entry.Name())) // the next backup tries again
		}
	}
}

// pacedWriter gives each chunk its own timeout.
type pacedWriter struct {
	w     io.Writer
	allow func() error
}

// Write writes a chunk.
func (p *pacedWriter) Write(data []byte) (int, error) {
	if err := p.allow(); err != nil {
		return 0, err
	}
	return p.w.Write(data)
}
