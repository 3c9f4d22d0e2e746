package audit

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// Errors of writers.
var (
	// ErrInUse means that another process has the file open for writing.
	ErrInUse = errors.New("another process writes this audit file")
	// ErrForeign means that the file does not end with a line of ours.
	ErrForeign = errors.New("the audit file does not end in a line of ours: move it away, or verify it and restore it")
	// ErrClosed means that the writer is closed.
	ErrClosed = errors.New("audit file is closed")
)

// Options are the options of a Writer.
type Options struct {
	// Path is the file. If it does not exist, it is created, readable only by its owner. Required.
	Path string
	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

// A Writer appends to a file that no other process writes. It is safe for concurrent use.
type Writer struct {
	opts Options
	open func(path string) (file, error)

	mu     sync.Mutex
	now    *segment // nil: must be opened
	last   Position
	closed bool
}

// Open opens the file and continues its chain. The errors wrap ErrInUse or ErrForeign, or come from
// the system.
func Open(opts Options) (*Writer, error) { return open(opts, openFile) }

func open(opts Options, with func(string) (file, error)) (*Writer, error) {
	if opts.Now == nil {
		opts.Now = time.Now //nolint:forbidigo // the default of the clock
	}
	w := &Writer{opts: opts, open: with}
	if err := w.reopen(); err != nil {
		return nil, err
	}
	return w, nil
}

// Append writes a record and returns its position. If durable is set, the line survives a crash of
// the machine once Append has returned without an error; concurrent calls share one sync. After an
// error, the line may or may not be in the file.
func (w *Writer) Append(r *Record, durable bool) (Position, error) {
	at, s, err := w.append(r)
	if err == nil && durable {
		err = w.sync(s, at.Seq)
	}
	if err != nil {
		return Position{}, fmt.Errorf("writing audit line: %w", err)
	}
	return at, nil
}

// Sync makes all lines durable, and follows a rotation.
func (w *Writer) Sync() error {
	w.mu.Lock()
	err := w.openCurrent()
	s, at := w.now, w.last
	w.mu.Unlock()
	if err == nil {
		err = w.sync(s, at.Seq)
	}
	if err != nil {
		return fmt.Errorf("keeping audit file: %w", err)
	}
	return nil
}

// Last returns the position of the last line.
func (w *Writer) Last() Position {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

// Close makes all lines durable and closes the file. All later calls return ErrClosed.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil
	}
	err := w.openCurrent()
	w.closed = true
	return errors.Join(err, w.closeCurrent())
}

func (w *Writer) append(r *Record) (Position, *segment, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.openCurrent(); err != nil {
		return Position{}, nil, err
	}
	if err := w.write(r); err != nil {
		return Position{}, nil, err
	}
	return w.last, w.now, nil
}

// write writes a line to the current file. After an error the file is reopened, since it may
// contain a part of the line.
func (w *Writer) write(r *Record) error {
	text, at, err := r.encode(w.opts.Now(), w.last)
	if err != nil {
		return err
	}
	if len(text) >= maxLine {
		return errors.New("the record is too long")
	}
	if err := w.now.write(append(text, '\n')); err != nil {
		_ = w.closeCurrent()
		return err
	}
	w.last = at
	w.now.written.Store(at.Seq)
	return nil
}

// sync makes the lines of a segment durable up to that number.
func (w *Writer) sync(s *segment, upto uint64) error {
	err := s.sync(upto)
	if err != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.now == s {
			_ = w.closeCurrent()
		}
	}
	return err
}

// openCurrent makes the file at the path the current one.
func (w *Writer) openCurrent() error {
	if w.closed {
		return ErrClosed
	}
	if w.now != nil && w.now.isCurrent(w.opts.Path) {
		return nil
	}
	if err := w.closeCurrent(); err != nil {
		return err
	}
	return w.reopen()
}

// closeCurrent closes the current file, if there is one.
func (w *Writer) closeCurrent() error {
	if w.now == nil {
		return nil
	}
	s := w.now
	w.now = nil
	return s.close()
}
