package cli

import (
	"context"
	"errors"

	"authsidecar/sessions"
	"authsidecar/sessions/logout"
)

// eachMark gives do the marks of logouts in the source, page by page.
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

// marks carries what keeps tokens from before a logout from getting a new session.
func (c *copier) marks(ctx context.Context, realms []string, report *copyReport) error {
	return c.eachMark(ctx, realms, func(to logout.Store, realm string, marks []logout.Mark) error {
		report.Marks += int64(len(marks))
		return c.patiently(ctx, func() error { return to.Mark(ctx, realm, marks) })
	})
}

// checkMarks reads them again: the target has each of them, or a later one of its name.
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
