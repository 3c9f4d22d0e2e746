package pebblestore

import (
	"context"
	"fmt"
	"log/slog"
)

// chatter is what Pebble logs to.
type chatter struct {
	log *slog.Logger
	// fatal gets the error for which Pebble would end the process.
	fatal func(error)
}

// Infof logs what Pebble does.
func (c *chatter) Infof(format string, args ...any) { c.debug(format, args) }

// Errorf logs what did not work, and is tried again.
func (c *chatter) Errorf(format string, args ...any) { c.debug(format, args) }

// Fatalf is called in the middle of something, with locks held, by code that
// counts on never being returned to. So it ends the database and not the
// process, and does not return.
func (c *chatter) Fatalf(format string, args ...any) {
	c.fatal(fmt.Errorf("pebble: "+format, args...))
	select {}
}

func (c *chatter) debug(format string, args []any) {
	if c.log.Enabled(context.Background(), slog.LevelDebug) {
		c.log.Debug("pebble", "event", fmt.Sprintf(format, args...))
	}
}
