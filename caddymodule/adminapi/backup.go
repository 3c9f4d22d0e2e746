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

// scratchName begins the names of copies that are being sent. They stand in the
// store's own directory: there they cost next to no room.
const scratchName = "BACKUP-"

// backingUp is held by the one backup that is made at a time.
var backingUp sync.Mutex

// chunkTimeout is how long whoever takes a backup may take for a piece of it.
const chunkTimeout = time.Minute

// A checkpointer is a store that makes a consistent copy of itself while it serves: the
// embedded one.
type checkpointer interface {
	// Checkpoint makes the copy in dir, which must not exist. It holds everything that was
	// acknowledged before the call.
	Checkpoint(ctx context.Context, dir string) error
}

// sendBackup answers GET backup: a consistent copy of an embedded store, as a tar
// file that backup.Read reads. Whatever was acknowledged before the request is in it.
func sendBackup(w http.ResponseWriter, r *request) (any, error) {
	inst, err := r.ofOneStore()
	if err != nil {
		return nil, err
	}
	source, ok := sessions.As[checkpointer](inst.Manager.Store)
	if !ok {
		return nil, refuse(http.StatusNotImplemented,
			"store %s makes no copy of itself: back it up with the tools of its engine, or carry it over with caddy auth-sessions copy", inst.Engine)
	}
	if !backingUp.TryLock() {
		return nil, refuse(http.StatusConflict, "another backup is under way: wait for it")
	}
	defer backingUp.Unlock()
	dir, err := scratch(inst.CopyDir)
	if err != nil {
		return nil, err
	}
	defer func() { RemoveCopies(filepath.Dir(dir)) }()
	// Caddy's limit of the time that a request may take to arrive would end it.
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
	paced := &paced{w: w, allow: func() error { return control.SetWriteDeadline(time.Now().Add(chunkTimeout)) }}
	if err := backup.Write(paced, dir, inst.Engine, time.Now()); err != nil {
		inst.Logger.Error("backup was broken off; whoever took it knows", zap.Error(err))
		panic(http.ErrAbortHandler) // a body that ends well would pass for a whole one
	}
	return nil, nil
}

// scratch returns a name for a copy that is about to be sent, in a directory that
// has no others.
func scratch(dir func() (string, error)) (string, error) {
	parent, err := dir()
	if err != nil {
		return "", fmt.Errorf("finding the store's directory: %w", err)
	}
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return "", fmt.Errorf("making room for a copy: %w", err)
	}
	RemoveCopies(parent)
	return filepath.Join(parent, scratchName+rand.Text()[:12]), nil
}

// RemoveCopies removes the copies that are left in a directory, of a process, too,
// that ended while it sent one.
func RemoveCopies(parent string) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return // there is none
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), scratchName) {
			_ = os.RemoveAll(filepath.Join(parent, entry.Name())) // the next one tries it again
		}
	}
}

// paced lets each piece that is written take its time, and no more.
type paced struct {
	w     io.Writer
	allow func() error
}

// Write writes a piece.
func (p *paced) Write(data []byte) (int, error) {
	if err := p.allow(); err != nil {
		return 0, err
	}
	return p.w.Write(data)
}
