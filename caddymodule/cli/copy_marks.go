package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"authsidecar/sessions"
	"authsidecar/sessions/logout"
	"authsidecar/sessions/revocation"
)

// eachMark calls do with the marks of logouts in the source, page by page.
func (c *copier) eachMark(ctx context.Context, realms []string, do func(to logout.Store, realm string, marks []logout.Mark) error) error {
	from, ok := sessions.As[logout.Store](c.from)
	if !ok {
		return nil
	}
	to, ok := sessions.As[logout.Store](c.to)
	for _, realm := range realms {
		err := from.EachMark(ctx, realm, func(marks []logout.Mark) error {
			switch {
			case len(marks) == 0:
				return nil
			case !ok:
				return errors.New("the target keeps none, and tokens from before a logout would be good again: copy when the last logout is longer ago than the max_lifetime of its issuer")
			}
			return do(to, realm, marks)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// marks copies the marks of logouts, which prevent older tokens from getting new sessions.
func (c *copier) marks(ctx context.Context, realms []string, report *copyReport) error {
	return c.eachMark(ctx, realms, func(to logout.Store, realm string, marks []logout.Mark) error {
		report.Marks += int64(len(marks))
		return c.retry(ctx, func() error { return to.Mark(ctx, realm, marks) })
	})
}

// checkMarks reads them again: the target must have each of them, or a later one with the same
// name.
func (c *copier) checkMarks(ctx context.Context, realms []string) error {
	return c.eachMark(ctx, realms, func(to logout.Store, realm string, marks []logout.Mark) error {
		names := make([]string, len(marks))
		for i := range marks {
			names[i] = marks[i].Name
		}
		have, err := to.Marks(ctx, realm, names)
		if err != nil {
			return err
		}
		known := make(map[string]logout.Mark, len(have))
		for _, mark := range have {
			known[mark.Name] = mark
		}
		for _, mark := range marks {
			if there := known[mark.Name]; !mark.Over(c.to.Now()) && (there.At.Before(mark.At) || there.Until.Before(mark.Until)) {
				return errors.New("one is not in the target: repeat the command")
			}
		}
		return nil
	})
}

// cutoffs copies the bulk revocations.
func (c *copier) cutoffs(ctx context.Context, realms []string, report *copyReport) error {
	for _, realm := range realms {
		all, err := cutoffsOf(ctx, c.from, realm)
		if err != nil {
			return err
		}
		store, ok := sessions.As[revocation.Store](c.to)
		if !ok && len(all) > 0 {
			return errors.New("the target keeps none: wait two hours after the last bulk revocation, and copy then")
		}
		for _, cutoff := range all {
			if _, err := store.AddCutoff(ctx, cutoff); err != nil {
				return err
			}
			report.Cutoffs++
		}
	}
	return nil
}

func cutoffsOf(ctx context.Context, store sessions.Store, realm string) ([]revocation.Cutoff, error) {
	cutoffs, ok := sessions.As[revocation.Store](store)
	if !ok {
		return nil, nil
	}
	return cutoffs.Cutoffs(ctx, realm)
}

// checkCutoffs checks that the target has each cutoff of the source.
func (c *copier) checkCutoffs(ctx context.Context, realms []string) error {
	for _, realm := range realms {
		want, err := cutoffsOf(ctx, c.from, realm)
		have, err2 := cutoffsOf(ctx, c.to, realm)
		if err := cmp.Or(err, err2); err != nil {
			return err
		}
		for _, cutoff := range want {
			if !slices.ContainsFunc(have, func(other revocation.Cutoff) bool { return reflect.DeepEqual(other, cutoff) }) {
				return fmt.Errorf("%s is not in the target: repeat the command", cutoff.ID)
			}
		}
	}
	return nil
}
