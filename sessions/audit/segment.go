package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// A file is the part of *os.File that a segment uses.
type file interface {
	io.ReaderAt
	io.WriteCloser
	Stat() (os.FileInfo, error)
	Truncate(size int64) error
	Sync() error
}

// openFile opens a file for appending and locks it.
func openFile(path string) (file, error) {
	_, err := os.Lstat(path)
	f, openErr := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if openErr != nil {
		return nil, openErr
	}
	if lockErr := lock(f); lockErr != nil {
		return nil, errors.Join(lockErr, f.Close())
	}
	if errors.Is(err, os.ErrNotExist) { // the directory entry must survive a crash too
		if err := syncDir(filepath.Dir(path)); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return f, nil
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// A segment is an open file of a chain.
type segment struct {
	f       file
	size    int64         // expected size
	written atomic.Uint64 // number of the last line that was written

	mu     sync.Mutex // held during a sync
	synced uint64     // number of the last durable line
	err    error      // why it is unknown what is durable
}

// isCurrent reports whether the segment is still the file at the path, with the size that we left it
// at.
func (s *segment) isCurrent(path string) bool {
	named, err := os.Stat(path)
	if err != nil {
		return false
	}
	info, err := s.f.Stat()
	return err == nil && os.SameFile(named, info) && named.Size() == s.size
}

func (s *segment) write(text []byte) error {
	n, err := s.f.Write(text)
	s.size += int64(n)
	return err
}

// sync makes the lines up to that number durable, unless they are already.
func (s *segment) sync(upto uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	if s.synced >= upto {
		return nil
	}
	all := s.written.Load()
	if s.err = s.f.Sync(); s.err == nil {
		s.synced = all
	}
	return s.err
}

// close makes the lines durable and closes the file.
func (s *segment) close() error {
	err := s.sync(s.written.Load())
	return errors.Join(err, s.f.Close())
}

// reopen opens the file at the path and continues the chain at its end, or the current chain if the
// file is empty.
func (w *Writer) reopen() (err error) {
	f, err := w.open(w.opts.Path)
	if err != nil {
		return fmt.Errorf("opening audit file: %w", err)
	}
	s := &segment{f: f}
	defer func() {
		if err != nil {
			w.now = nil
			_ = f.Close()
		}
	}()
	end, torn, err := s.recover()
	if err != nil {
		return fmt.Errorf("opening audit file %s: %w", w.opts.Path, err)
	}
	before := w.last
	w.now = s
	if s.size > 0 {
		w.last = end
	}
	s.synced = w.last.Seq
	s.written.Store(w.last.Seq)
	switch {
	case torn > 0:
		return w.write(&Record{Event: EventRecovered, Note: fmt.Sprintf("a torn line of %d bytes was removed", torn)})
	case s.size > 0 && before.Seq > 0 && before != end:
		return w.write(&Record{Event: EventRecovered, Note: fmt.Sprintf("the file ended in line %d, and line %d was written last", end.Seq, before.Seq)})
	case s.size == 0 && before.Seq > 0:
		return w.write(&Record{Event: EventRotated})
	}
	return nil
}

// recover finds the last complete line of the file, and removes what a crash left behind it.
func (s *segment) recover() (end Position, torn int, err error) {
	info, err := s.f.Stat()
	if err != nil {
		return end, 0, err
	}
	if !info.Mode().IsRegular() {
		return end, 0, errors.New("it is not a regular file")
	}
	s.size = info.Size()
	tail := make([]byte, min(s.size, 2*maxLine))
	if _, err := s.f.ReadAt(tail, s.size-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return end, 0, err
	}
	whole := bytes.LastIndexByte(tail, '\n') + 1
	torn = len(tail) - whole
	if torn >= maxLine || whole == 0 && s.size > int64(len(tail)) {
		return end, 0, ErrForeign
	}
	if whole > 0 {
		text := tail[:whole-1]
		l, ok := parseLine(text[bytes.LastIndexByte(text, '\n')+1:])
		if !ok {
			return end, 0, ErrForeign
		}
		end = l.at
	}
	if torn == 0 {
		return end, 0, nil
	}
	s.size -= int64(torn)
	return end, torn, errors.Join(s.f.Truncate(s.size), s.f.Sync())
}
