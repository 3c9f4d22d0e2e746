package observe

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"authsidecar/caddymodule/internal/canonical"
	"authsidecar/caddymodule/internal/periodic"
	"authsidecar/sessions"
	"authsidecar/sessions/audit"
	"authsidecar/sessions/event"
)

// An auditor writes the records of an instance to a log of their own and, if there is one, to the
// audit file.
type auditor struct {
	logger   *zap.Logger
	path     string // as configured; "" for no file
	required bool
	file     *auditFile
	key      string
}

// auditName is the name of the audit's logger, below the handler's.
const auditName = "audit"

// auditFiles are the open files of this process, by path: reloads and several blocks share them.
var auditFiles = caddy.NewUsagePool()

// An auditFile is a file in the pool, with the goroutine that syncs lines that nobody waits for.
type auditFile struct {
	writer  *audit.Writer
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// auditSync is how often that goroutine syncs, and checks whether the file was rotated.
const auditSync = time.Second

func (a *auditor) open() error {
	if a.path == "" {
		return nil
	}
	path, err := canonical.Path(filepath.Dir(a.path))
	if err != nil {
		return fmt.Errorf("audit file %s: %w", a.path, err)
	}
	path = filepath.Join(path, filepath.Base(a.path))
	value, _, err := auditFiles.LoadOrNew(path, func() (caddy.Destructor, error) {
		writer, err := audit.Open(audit.Options{Path: path})
		if err != nil {
			return nil, err
		}
		return startAuditFile(writer, a.logger), nil
	})
	if err != nil {
		return fmt.Errorf("audit file %s: %w", a.path, err)
	}
	a.key, a.file = path, value.(*auditFile)
	return nil
}

func startAuditFile(writer *audit.Writer, logger *zap.Logger) *auditFile {
	f := &auditFile{writer: writer}
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel = cancel
	f.running.Go(func() {
		failing := false
		periodic.Run(ctx, auditSync, func() {
			err := writer.Sync()
			if err != nil && !failing {
				logger.Error("the audit file cannot be written; this is tried again", zap.Error(err))
			}
			failing = err != nil
		})
	})
	return f
}

// Destruct stops the goroutine and closes the file.
func (f *auditFile) Destruct() error {
	f.cancel()
	f.running.Wait()
	return f.writer.Close()
}

func (a *auditor) close() error {
	if a.key == "" {
		return nil
	}
	_, err := auditFiles.Delete(a.key)
	a.key = ""
	return err
}

// write writes a record to the file, if there is one.
func (a *auditor) write(r *audit.Record, durable bool) (audit.Position, error) {
	if a.file == nil {
		return audit.Position{}, nil
	}
	return a.file.writer.Append(r, durable)
}

// Record records what happened: in the file, in the log, and as a Caddy event. ErrUnavailable means
// that the audit is required and the record is not on disk.
func (r *Reporter) Record(ctx context.Context, record *audit.Record) error {
	if record.Event == audit.EventRefused || record.Event == string(event.Denied) {
		record.RequestID = requestID(ctx) // so that support can find the request
	}
	note(ctx, record)
	at, err := r.auditLine(record, record.Event != string(event.Expired))
	logRecord(r.audit.logger, zapcore.InfoLevel, record, at)
	r.events.emit(ctx, record)
	return err
}

// BeforeActing records that an unsafe request of an impersonated session is about to be forwarded.
// ErrUnavailable means that it must not be: the audit is required and could not be written.
func (r *Reporter) BeforeActing(record *audit.Record) error {
	acts.WithLabelValues(r.issuer).Inc()
	if !r.audit.required {
		return nil
	}
	record.Event = audit.EventActing
	_, err := r.auditLine(record, true)
	return err
}

// auditLine writes a record to the file. If the audit is required and wait is set, the line is
// on disk when this returns.
func (r *Reporter) auditLine(record *audit.Record, wait bool) (audit.Position, error) {
	at, err := r.audit.write(record, r.audit.required && wait)
	if err == nil {
		return at, nil
	}
	auditErrors.WithLabelValues(r.issuer).Inc()
	r.audit.logger.Error("an audit line could not be written", zap.String("event", record.Event), zap.String("issuer", record.Issuer), zap.String("session_id", record.SessionID), zap.Error(err))
	if !r.audit.required {
		return at, nil
	}
	return at, fmt.Errorf("%w: %w", sessions.ErrUnavailable, err)
}

type noteKey struct{}

// WithNote returns a context that adds a note to the records of events in it.
func WithNote(ctx context.Context, text string) context.Context {
	return context.WithValue(ctx, noteKey{}, text)
}

func note(ctx context.Context, record *audit.Record) {
	text, _ := ctx.Value(noteKey{}).(string)
	switch {
	case text == "":
	case record.Note == "":
		record.Note = text
	default:
		record.Note = text + ", " + record.Note
	}
}

// Before is called before a session is stored, opened or refreshed: handlers of Caddy's events
// may refuse it, and if the audit is required, the record of what is about to happen is on disk
// when this returns.
func (r *Reporter) Before(ctx context.Context, kind event.Kind, s *sessions.Session) error {
	if asks := kind == event.Created && r.events.hasSubscribers(); !asks && !r.audit.required {
		return nil // as nearly always
	}
	record := audit.RecordOf(&sessions.Event{Kind: kind, Session: s, IP: s.RequestIP()})
	record.Event = audit.EventRefreshing
	note(ctx, record)
	switch kind {
	case event.Opened:
		record.Event = audit.EventOpening
	case event.Created:
		record.Event = audit.EventCreating
		if err := r.events.ask(ctx, record); err != nil {
			return err
		}
	default:
	}
	if !r.audit.required {
		return nil
	}
	_, err := r.auditLine(record, true)
	return err
}

// Interface guard
var _ caddy.Destructor = (*auditFile)(nil)
