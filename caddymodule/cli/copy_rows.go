package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"authsidecar/sessions"
)

// A copier copies sessions from one store to another.
type copier struct {
	from, to sessions.Store
	progress func(what string) *progress
	pause    func(context.Context, time.Duration) bool // periodic.Wait
}

// A copyReport counts the sessions. Read is the number in the source, without those that are about
// to be swept: the sum of Created, Updated, Same and Newer.
type copyReport struct {
	From    string `json:"from"` // where the source is
	To      string `json:"to"`
	Read    int64  `json:"read"`
	Created int64  `json:"created"`
	Updated int64  `json:"updated"` // existed, in an older state
	Same    int64  `json:"same"`    // existed, in the same state
	Newer   int64  `json:"newer"`   // existed, in a newer state: left unchanged
	Cutoffs int64  `json:"cutoffs"`
	Checked int64  `json:"checked"` // read again and found equal
	Marks   int64  `json:"marks"`   // of logouts
}

func (r *copyReport) print(w io.Writer) error {
	_, err := fmt.Fprintf(w, "From %s\nto   %s\n%s read: %d created, %d updated, %d there already, %d newer there. %s, %s of logouts.\nAll %d were read again and are right.\n",
		printable(r.From), printable(r.To), plural(int(r.Read), "session"), r.Created, r.Updated, r.Same, r.Newer, plural(int(r.Cutoffs), "cutoff"), plural(int(r.Marks), "mark"), r.Checked)
	return err
}

// copyWorkers is how many rows are copied concurrently: an embedded store commits them together,
// and a store on a network is waited for less.
const copyWorkers = 64

var errDiffers = errors.New("the target has another session with the same id: it is not a copy of the source; copy into an empty store")

// run copies the cutoffs and the marks of logouts, so that nothing that they revoked is live in the
// target or can be created there again, and then the rows; then it reads everything again.
func (c *copier) run(ctx context.Context) (*copyReport, error) {
	report := new(copyReport)
	realms, err := realmsOf(ctx, c.from)
	if err != nil {
		return nil, err
	}
	if err := c.cutoffs(ctx, realms, report); err != nil {
		return nil, fmt.Errorf("copying cutoffs: %w", err)
	}
	if err := c.marks(ctx, realms, report); err != nil {
		return nil, fmt.Errorf("copying marks of logouts: %w", err)
	}
	err = c.each(ctx, "copying sessions", func(ctx context.Context, row *sessions.Session) error {
		atomic.AddInt64(&report.Read, 1)
		return c.row(ctx, row, report)
	})
	if err != nil {
		return nil, fmt.Errorf("copying sessions: %w; %d were, repeat the command to go on", err, report.Created+report.Updated+report.Same)
	}
	err = c.each(ctx, "checking sessions", func(ctx context.Context, row *sessions.Session) error {
		atomic.AddInt64(&report.Checked, 1)
		return c.check(ctx, row)
	})
	if err != nil {
		return nil, fmt.Errorf("checking sessions: %w", err)
	}
	if err := c.checkCutoffs(ctx, realms); err != nil {
		return nil, fmt.Errorf("checking cutoffs: %w", err)
	}
	if err := c.checkMarks(ctx, realms); err != nil {
		return nil, fmt.Errorf("checking marks of logouts: %w", err)
	}
	if report.Checked != report.Read {
		return nil, fmt.Errorf("the source changed meanwhile: it had %d sessions, and then %d: stop what uses it, and repeat the command", report.Read, report.Checked)
	}
	return report, nil
}

func realmsOf(ctx context.Context, source sessions.Store) ([]string, error) {
	scanner, ok := sessions.As[sessions.AdminStore](source)
	if !ok {
		return nil, errors.New("--from: this store cannot be read whole")
	}
	realms, err := scanner.Realms(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the source: %w", err)
	}
	return realms, nil
}

// each calls do for every row of the source that is not about to be swept, many concurrently.
func (c *copier) each(ctx context.Context, what string, do func(context.Context, *sessions.Session) error) error {
	shown := c.progress(what)
	defer shown.done()
	now := c.from.Now()
	return scanAll(ctx, c.from, func(page []sessions.Session) error {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(copyWorkers)
		for i := range page {
			if row := &page[i]; row.PurgeAt().After(now) {
				group.Go(func() error { return do(ctx, row) })
			}
		}
		err := group.Wait()
		shown.add(len(page))
		return err
	})
}

// row copies one session. A revoked one is created live and then revoked, so that the target
// remembers it as revoked, like its own.
func (c *copier) row(ctx context.Context, row *sessions.Session, report *copyReport) error {
	fresh := *row
	fresh.RevokedAt, fresh.EndReason = time.Time{}, ""
	var have sessions.Session
	var created bool
	err := c.retry(ctx, func() (err error) {
		have, created, _, err = c.to.Create(ctx, fresh)
		return err
	})
	if err != nil {
		return err
	}
	switch {
	case created && row.RevokedAt.IsZero():
		atomic.AddInt64(&report.Created, 1)
		return nil
	case reflect.DeepEqual(have, *row):
		atomic.AddInt64(&report.Same, 1)
		return nil
	case created:
		atomic.AddInt64(&report.Created, 1)
	case !sameSession(&have, row):
		return fmt.Errorf("session %s: %w", row.ID, errDiffers)
	case !isBehind(&have, row):
		atomic.AddInt64(&report.Newer, 1)
		return nil
	default:
		atomic.AddInt64(&report.Updated, 1)
	}
	return c.update(ctx, row)
}

// update updates a row of the target, unless it has a newer state.
func (c *copier) update(ctx context.Context, row *sessions.Session) error {
	return c.retry(ctx, func() error {
		_, err := c.to.Update(ctx, row.Key(), func(have sessions.Session, _ time.Time) (sessions.Session, bool) {
			return *row, isBehind(&have, row)
		})
		return err
	})
}

// retry calls do for up to 3 s while the store is unavailable: operations on one user's sessions
// wait for each other, with a shorter timeout than a copy needs.
func (c *copier) retry(ctx context.Context, do func() error) error {
	for wait := 100 * time.Millisecond; ; wait *= 2 {
		err := do()
		if !errors.Is(err, sessions.ErrUnavailable) || wait > 2*time.Second || !c.pause(ctx, wait) {
			return err
		}
	}
}

// sameSession reports whether both rows are of one session: fields that never change are equal.
func sameSession(a, b *sessions.Session) bool {
	return a.Key() == b.Key() && a.UserID == b.UserID && a.Impersonation == b.Impersonation && a.Actor == b.Actor && a.CreatedAt.Equal(b.CreatedAt)
}

// isBehind reports whether the row of the source is a later state of the target's.
func isBehind(have, row *sessions.Session) bool {
	switch {
	case !have.RevokedAt.IsZero():
		return false
	case have.Generation != row.Generation:
		return have.Generation < row.Generation
	case !row.RevokedAt.IsZero():
		return true
	default:
		return isLater(row, have)
	}
}

// isLater reports whether a is a later state of the same generation as b: confirmed or renewed.
func isLater(a, b *sessions.Session) bool {
	return a.Generation == b.Generation && a.Secret == b.Secret && a.Confirmed >= b.Confirmed && !a.RotatedAt.Before(b.RotatedAt) &&
		(a.Confirmed > b.Confirmed || a.RotatedAt.After(b.RotatedAt))
}

// check reads a row again and compares it.
func (c *copier) check(ctx context.Context, row *sessions.Session) error {
	have, err := c.to.Get(ctx, row.Key())
	switch {
	case errors.Is(err, sessions.ErrNotFound) && !row.PurgeAt().After(c.to.Now()):
		return nil // it has ended and been swept meanwhile
	case err != nil:
		return fmt.Errorf("session %s: %w", row.ID, err)
	case reflect.DeepEqual(have, *row):
		return nil
	case !sameSession(&have, row) || isBehind(&have, row) || have.Generation == row.Generation && have.RevokedAt.IsZero() && !isLater(&have, row):
		return fmt.Errorf("session %s: it is not what was copied; repeat the command", row.ID)
	default:
		return nil // it has a newer state in the target
	}
}
