package cli

import (
	"testing"

	"authsidecar/sessions/storetest/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m) }
