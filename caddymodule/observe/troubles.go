package observe

import (
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// A Trouble is the last error of its kind that was logged.
type Trouble struct {
	At    time.Time `json:"at"`
	What  string    `json:"what"`            // the log message
	Error string    `json:"error,omitempty"` // "" if the message says it all
}

// maxTroubles is how many kinds of errors are kept per realm.
const maxTroubles = 32

// troubles are the last errors of each realm. They belong to the process, like counters: what
// several configurations share, such as a store, uses the logger of the first.
var troubles sync.Map // *remembered by realm

type troubleLog struct {
	mu   sync.Mutex
	last []Trouble // by message, newest last
}

// Remember returns a logger whose errors become Troubles of the realm.
func Remember(logger *zap.Logger, realm string) *zap.Logger {
	kept, _ := troubles.LoadOrStore(realm, new(troubleLog))
	return logger.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return zapcore.NewTee(core, errorCore{kept.(*troubleLog)})
	}))
}

// Troubles returns the last error of each kind in a realm, the newest first; not nil.
func Troubles(realm string) []Trouble {
	kept, ok := troubles.Load(realm)
	if !ok {
		return []Trouble{}
	}
	r := kept.(*troubleLog)
	r.mu.Lock()
	defer r.mu.Unlock()
	newest := append([]Trouble{}, r.last...)
	slices.Reverse(newest)
	return newest
}

func (r *troubleLog) add(t Trouble) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = slices.DeleteFunc(r.last, func(known Trouble) bool { return known.What == t.What })
	if len(r.last) == maxTroubles {
		r.last = r.last[1:]
	}
	r.last = append(r.last, t)
}

// An errorCore is a zapcore.Core that keeps errors.
type errorCore struct{ kept *troubleLog }

// Enabled implements zapcore.LevelEnabler.
func (errorCore) Enabled(level zapcore.Level) bool { return level >= zapcore.ErrorLevel }

// With implements zapcore.Core. The fields of a logger itself are not kept.
func (c errorCore) With([]zapcore.Field) zapcore.Core { return c }

// Check implements zapcore.Core.
func (c errorCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if !c.Enabled(entry.Level) {
		return checked
	}
	return checked.AddCore(entry, c)
}

// Write implements zapcore.Core.
func (c errorCore) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	t := Trouble{At: entry.Time.UTC(), What: entry.Message}
	for _, field := range fields {
		if err, ok := field.Interface.(error); ok && field.Key == "error" {
			t.Error = err.Error()
		}
		if field.Key == "error" && field.Type == zapcore.StringType {
			t.Error = field.String
		}
	}
	c.kept.add(t)
	return nil
}

// Sync implements zapcore.Core.
func (errorCore) Sync() error { return nil }

// Interface guard
var _ zapcore.Core = errorCore{}
