package caddymodule

import "time"

// SetKeyTimes makes nodes look for new keys that often, and others remember our key
// set for that long.
func SetKeyTimes(sync, cache time.Duration) { keySync, keyCache = sync, cache }
