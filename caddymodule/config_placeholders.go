package caddymodule

import (
	"errors"
	"strings"

	"authsidecar/caddymodule/internal/placeholder"
)

// prepare makes of what was written what is meant: with defaults, and with values for
// placeholders. Its errors are faults.
func (h *Handler) prepare() error {
	h.setDefaults()
	if err := placed(placeholder.ResolveAll(h)); err != nil {
		return err
	}
	return h.check()
}

// placed makes a fault of what is wrong with a placeholder.
func placed(err error) error {
	var wrongOne *placeholder.Error
	if !errors.As(err, &wrongOne) {
		return err
	}
	return wrong(wordsOf.Replace(wrongOne.At), "%w", wrongOne)
}

// wordsOf are the words of the Caddyfile whose names in JSON are others.
var wordsOf = strings.NewReplacer("shadow_allow.", "shadow allow.", "identity.headers.", "identity.header.")
