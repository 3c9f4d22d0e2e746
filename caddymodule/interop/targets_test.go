package interop

import (
	"os"
	"testing"

	"golang.org/x/tools/go/packages"

	"authsidecar/caddymodule/internal/sidecartest"
)

// All that a release is built for has the types to compile: the binary and all that it is made of,
// read for each system. The workflow of releases compiles them.
func TestDeploy_TypesHoldOnEverySystem(t *testing.T) {
	t.Parallel()
	for _, system := range []string{"darwin", "windows", "freebsd"} { // on Linux it is compiled for the other tests
		t.Run(system, func(t *testing.T) {
			t.Parallel()
			config := &packages.Config{
				Mode: packages.NeedName | packages.NeedCompiledGoFiles | packages.NeedImports | packages.NeedDeps |
					packages.NeedTypes | packages.NeedTypesSizes | packages.NeedSyntax,
				Context:    t.Context(),
				Dir:        sidecartest.Root(),
				Env:        append(os.Environ(), "CGO_ENABLED=0", "GOARCH=arm64", "GOOS="+system),
				BuildFlags: []string{"-tags=nobadger,nomysql,nopgx"},
			}
			found, err := packages.Load(config, "./caddymodule/caddy")
			if err != nil {
				t.Fatal(err)
			}
			read := 0
			packages.Visit(found, nil, func(p *packages.Package) {
				read++
				for _, err := range p.Errors {
					t.Error(err)
				}
			})
			if read < 1000 {
				t.Errorf("only %d packages were read", read)
			}
		})
	}
}
