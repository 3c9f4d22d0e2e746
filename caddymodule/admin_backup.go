package caddymodule

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

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"authsidecar/sessions"
)

// scratchName begins the names of copies that are being sent. They stand in the
// store's own directory: there they cost next to no room.
const scratchName = "BACKUP-"

// backingUp is held by the one backup that is made at a time.
var backingUp sync.Mutex

// chunkTimeout is how long whoever takes a backup may take for a piece of it.
const chunkTimeout = time.Minute

// adminBackup answers GET backup: a consistent copy of an embedded store, as a tar
// file that readBackup reads. Whatever was acknowledged before the request is in it.
func adminBackup(w http.ResponseWriter, r *adminRequest) (any, error) {
	inst, err := r.ofOneStore()
	if err != nil {
		return nil, err
	}
	source, ok := sessions.As[sessions.Checkpointer](inst.manager.Store)
	if !ok {
		return nil, adminError(http.StatusNotImplemented,
			"store %s makes no copy of itself: back it up with the tools of its engine, or carry it over with caddy auth-sessions copy", inst.engine())
	}
	if !backingUp.TryLock() {
		return nil, adminError(http.StatusConflict, "another backup is under way: wait for it")
	}
	defer backingUp.Unlock()
	dir, err := scratch(inst.opener)
	if err != nil {
		return nil, err
	}
	defer func() { removeScratch(filepath.Dir(dir)) }()
	// Caddy's limit of the time that a request may take to arrive would end it.
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("giving a backup its time: %w", err)
	}
	if err := source.Checkpoint(context.WithoutCancel(r.Context()), dir); err != nil {
		return nil, err
	}
	name := backupName(time.Now())
	w.Header().Set("Content-Type", "application/x-tar")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	paced := &paced{w: w, allow: func() error { return control.SetWriteDeadline(time.Now().Add(chunkTimeout)) }}
	if err := writeBackup(paced, dir, inst.engine(), time.Now()); err != nil {
		inst.logger.Error("backup was broken off; whoever took it knows", zap.Error(err))
		panic(http.ErrAbortHandler) // a body that ends well would pass for a whole one
	}
	return nil, nil
}

// backupName is what a backup is called unless somebody names it.
func backupName(now time.Time) string {
	return "auth_sessions-" + now.UTC().Format("20060102T150405.000Z") + ".tar"
}

// ofOneStore returns an instance whose store is the one that the request is for.
func (r *adminRequest) ofOneStore() (*instance, error) {
	found, err := r.instances()
	if err != nil {
		return nil, err
	}
	for _, inst := range found {
		if !inst.ready.Load() {
			return nil, sessions.ErrClosed
		}
		if inst.store != found[0].store {
			return nil, adminError(http.StatusBadRequest, "there are several stores: name one of the issuers %s", issuers(found))
		}
	}
	if len(found) == 0 {
		return nil, sessions.ErrClosed
	}
	return found[0], nil
}

// scratch returns a name for a copy that is about to be sent, in a directory that
// has no others.
func scratch(store StoreOpener) (string, error) {
	parent := filepath.Join(caddy.AppDataDir(), "auth_sessions")
	if embedded, ok := store.(*PebbleStore); ok {
		dir, err := canonical(embedded.directory())
		if err != nil {
			return "", fmt.Errorf("finding the store's directory: %w", err)
		}
		parent = dir
	}
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return "", fmt.Errorf("making room for a copy: %w", err)
	}
	removeScratch(parent)
	return filepath.Join(parent, scratchName+rand.Text()[:12]), nil
}

// removeScratch removes the copies that are left in a directory, of a process, too,
// that ended while it sent one.
func removeScratch(parent string) {
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
