package caddymodule

import (
	"strings"
	"testing"
)

func TestL2_WhatIsRecordedOfAPath(t *testing.T) {
	for _, c := range []struct{ what, path, recorded string }{
		{"as it came", "/a//b/../c;d", "/a//b/../c;d"},
		{"a long one", "/" + strings.Repeat("a/", 300) + "b", "/" + strings.Repeat("a/", 300) + "b"},
		{"a long one with detours", "/a" + strings.Repeat("/.", 200) + "/b", "/a" + strings.Repeat("/.", 200) + "/b = /a/b"},
	} {
		if got := recordable(c.path); got != c.recorded {
			t.Errorf("%s: %s", c.what, got)
		}
	}
}
