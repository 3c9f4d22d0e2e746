package config

// Audit says how events are recorded in addition to the log.
type Audit struct {
	// A file of JSON lines, each with the hash of the one before: `caddy auth-sessions audit
	// verify` reports whether one was changed, removed or swapped. If it does not exist, it is
	// created, readable only by its owner. Default: none.
	File string `json:"file,omitempty" placeholders:"resolve"`

	// Whether every session must be in the file: the line is on disk before a session is created or
	// refreshed, or the answer is 503. Needs a file.
	Required bool `json:"required,omitempty"`
}

func (b *Block) checkAudit() error {
	if b.Audit != nil && b.Audit.File == "" {
		return wrong("audit", "audit has no file: write audit file <path>, where the lines are to be")
	}
	return nil
}

func (b *Block) checkHealth() error {
	if b.Health == "" {
		return nil
	}
	if why := pathProblem(b.Health); why != "" {
		return wrong("health", "health %q %s: write an absolute path, as in: health /auth/health", b.Health, why)
	}
	if isWithin(b.Health, b.Path) {
		return wrong("health", "health %s is where sessions are: choose a path that is not at or below %s", b.Health, b.Path)
	}
	return nil
}
