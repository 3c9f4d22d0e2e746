package caddymodule

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"authsidecar/sessions"
	"authsidecar/sessions/audit"
)

// opened are the open instances by their issuers: who is told what was swept.
var opened sync.Map

// expired tells the instance of its realm that a session came to its end and was
// swept. A realm that no block is of has nobody to tell.
func expired(s *sessions.Session) {
	if inst, ok := opened.Load(s.Realm); ok {
		inst.(*instance).observe(context.Background(), &sessions.Event{Kind: sessions.EventExpired, Session: s})
	}
}

// An auditor writes the records of an instance: into a log of their own, and into the
// file, where there is one.
type auditor struct {
	logger *zap.Logger
	config Audit
	file   *auditFile
	key    string
}

// auditName is what the audit's logger is called, after the handler's.
const auditName = "audit"

func newAuditor(h *Handler, logger *zap.Logger) *auditor {
	a := &auditor{logger: logger.Named(auditName)}
	if h.Audit != nil {
		a.config = *h.Audit
	}
	return a
}

// auditFiles are the open files of this process, by their paths: a reload, and
// several blocks, share them.
var auditFiles = caddy.NewUsagePool()

// An auditFile is a file in the pool, and what makes durable what nobody waits for.
type auditFile struct {
	writer  *audit.Writer
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// auditSync is how often that is, and how often a rotation is looked for.
const auditSync = time.Second

func (a *auditor) open() error {
	if a.config.File == "" {
		return nil
	}
	path, err := canonical(filepath.Dir(a.config.File))
	if err != nil {
		return fmt.Errorf("audit file %s: %w", a.config.File, err)
	}
	path = filepath.Join(path, filepath.Base(a.config.File))
	value, _, err := auditFiles.LoadOrNew(path, func() (caddy.Destructor, error) {
		writer, err := audit.Open(audit.Options{Path: path})
		if err != nil {
			return nil, err
		}
		return startAuditFile(writer, a.logger), nil
	})
	if err != nil {
		return fmt.Errorf("audit file %s: %w", a.config.File, err)
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
		every(ctx, auditSync, func() {
			err := writer.Sync()
			if err != nil && !failing {
				logger.Error("the audit file cannot be written; this is tried again", zap.Error(err))
			}
			failing = err != nil
		})
	})
	return f
}

// Destruct ends what runs and closes the file.
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

// write writes a record into the file, if there is one.
func (a *auditor) write(r *audit.Record, durable bool) (audit.Position, error) {
	if a.file == nil {
		return audit.Position{}, nil
	}
	return a.file.writer.Append(r, durable)
}

// audit records what happened: in the file, in the log, and as an event of Caddy's.
// Where the audit is required, what is not on disk then is an ErrUnavailable.
func (inst *instance) audit(ctx context.Context, r *audit.Record) error {
	at, err := inst.auditLine(r, r.Event != string(sessions.EventExpired))
	inst.logRecord(inst.reports.audit.logger, zapcore.InfoLevel, r, at)
	inst.reports.events.tell(ctx, r)
	return err
}

// auditLine writes a record into the file. Where the audit is required, it is durable
// when this returns, if anybody waits for it.
func (inst *instance) auditLine(r *audit.Record, wait bool) (audit.Position, error) {
	a := inst.reports.audit
	at, err := a.write(r, a.config.Required && wait)
	if err == nil {
		return at, nil
	}
	auditErrors.WithLabelValues(inst.issuer).Inc()
	a.logger.Error("an audit line could not be written", zap.String("event", r.Event), zap.String("issuer", r.Issuer), zap.String("session_id", r.SessionID), zap.Error(err))
	if !a.config.Required {
		return at, nil
	}
	return at, fmt.Errorf("%w: %w", sessions.ErrUnavailable, err)
}

// before is asked before a session is stored or refreshed: handlers of Caddy's events
// may say no, and where the audit is required, what is about to happen is on disk when
// this returns.
func (inst *instance) before(ctx context.Context, kind sessions.EventKind, s *sessions.Session) error {
	r := audit.RecordOf(&sessions.Event{Kind: kind, Session: s, IP: s.IP})
	r.Event = audit.EventRefreshing
	if kind == sessions.EventCreated {
		r.Event = audit.EventCreating
		if err := inst.reports.events.ask(ctx, r); err != nil {
			return err
		}
	}
	if !inst.reports.audit.config.Required {
		return nil
	}
	_, err := inst.auditLine(r, true)
	return err
}

// Interface guard
var _ caddy.Destructor = (*auditFile)(nil)
