package directive_test

import (
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"authsidecar/caddymodule/config"
	"authsidecar/caddymodule/config/directive"
)

// This test's binary has no store modules, as a build without --with has not those of servers.
func TestStore_OneThatIsNotInThisBuildSaysHowToBuildIt(t *testing.T) {
	for _, name := range []string{"postgres", "redis"} {
		err := directive.Read(caddyfile.NewTestDispenser(`auth_sessions {
			store `+name+` `+name+`://localhost
		}`), new(config.Block))
		want := "store " + name + " is not in this build: build it with ./xcaddy.sh --with authsidecar/caddymodule/" + name + ", or write store pebble, at Testfile:2"
		if err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
