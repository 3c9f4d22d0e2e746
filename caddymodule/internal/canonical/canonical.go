// Package canonical returns the canonical name of a directory.
package canonical

import (
	"errors"
	"os"
	"path/filepath"
)

// Path returns the absolute name of a directory, without symbolic links. The directory need not
// exist.
func Path(dir string) (string, error) {
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	resolved, err := filepath.EvalSymlinks(absolute)
	if err == nil {
		return resolved, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	parent := filepath.Dir(absolute)
	if parent == absolute {
		return absolute, nil
	}
	parent, err = Path(parent)
	return filepath.Join(parent, filepath.Base(absolute)), err
}
