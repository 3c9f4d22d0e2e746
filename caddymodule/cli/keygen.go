package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"authsidecar/sessions/jose"
)

// A keygen generates a key pair, as its flags say.
type keygen struct {
	algorithm string
	output    string
	jwks      string
	force     bool
}

func keygenCommand() *cobra.Command {
	k := new(keygen)
	cmd := &cobra.Command{
		Use:   "keygen [--algorithm <name>] [--output <file>] [--jwks <file>] [--force]",
		Short: "Generates a signing key and its public key set",
		Long: `
Generates a signing key, and the JWK set of its public half. The private key is written
as a JWK that only its owner may read: whoever has it can sign as you. Without files,
the private key and then the public set go to standard output, a line each. Existing
files are overwritten only with --force.

A key pair in two files, the second for the jwks line of a trust block:

	$ caddy auth-sessions keygen --output idp.jwk --jwks idp.jwks.json

A key for the refresh_token block:

	$ caddy auth-sessions keygen --algorithm EdDSA --output refresh.jwk`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return k.run(cmd) },
	}
	cmd.Flags().StringVarP(&k.algorithm, "algorithm", "a", "ES256", "What the key signs with: ES256, EdDSA, RS256, …")
	cmd.Flags().StringVarP(&k.output, "output", "o", "", "File for the private key")
	cmd.Flags().StringVarP(&k.jwks, "jwks", "j", "", "File for the public key set")
	cmd.Flags().BoolVarP(&k.force, "force", "f", false, "Overwrite existing files")
	return cmd
}

func (k *keygen) run(cmd *cobra.Command) error {
	algorithm, err := jose.ParseAlgorithm(k.algorithm)
	if err != nil {
		return fmt.Errorf("--algorithm %q is not known: choose from %s", k.algorithm, asymmetricNames())
	}
	if algorithm.Symmetric() {
		return fmt.Errorf("--algorithm %s has a shared secret and no key pair: make one with: openssl rand -hex 64", algorithm)
	}
	if k.output != "" && filepath.Clean(k.output) == filepath.Clean(k.jwks) {
		return fmt.Errorf("--output and --jwks are both %s: the private key and the public set need a file each", k.output)
	}
	for _, file := range []string{k.output, k.jwks} {
		if err := k.checkWritable(file); err != nil {
			return err
		}
	}
	private, public, err := makeKeyPair(algorithm)
	if err != nil {
		return err
	}
	if err := k.write(cmd, k.output, private, 0o600); err != nil {
		return err
	}
	return k.write(cmd, k.jwks, public, 0o644)
}

func asymmetricNames() string {
	all := jose.Asymmetric()
	names := make([]string, len(all))
	for i, algorithm := range all {
		names[i] = string(algorithm)
	}
	return strings.Join(names, ", ")
}

// checkWritable returns an error if the file must not be written.
func (k *keygen) checkWritable(file string) error {
	if file == "" || k.force {
		return nil
	}
	if _, err := os.Lstat(file); err == nil {
		return fmt.Errorf("%s exists: choose another name, or overwrite it with --force", file)
	}
	return nil
}

func makeKeyPair(algorithm jose.Algorithm) (private, public []byte, err error) {
	key, err := jose.Generate(algorithm)
	if err != nil {
		return nil, nil, fmt.Errorf("generating a key: %w", err)
	}
	if private, err = key.JWK(); err != nil {
		return nil, nil, fmt.Errorf("writing the private key: %w", err)
	}
	jwk, err := key.Public().PublicJWK()
	if err != nil {
		return nil, nil, fmt.Errorf("writing the public key: %w", err)
	}
	public, err = json.Marshal(map[string][]json.RawMessage{"keys": {jwk}})
	return private, public, err
}

// write writes a line to the file, or to standard output if there is none. The file is always
// created anew, with its own permissions, even with --force.
func (k *keygen) write(cmd *cobra.Command, file string, line []byte, mode fs.FileMode) error {
	line = append(line, '\n')
	if file == "" {
		_, err := cmd.OutOrStdout().Write(line)
		return err
	}
	if k.force {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("overwriting: %w", err)
		}
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("creating: %w", err)
	}
	_, err = f.Write(line)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	return nil
}
