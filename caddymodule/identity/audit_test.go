package identity

import (
	"strings"
	"testing"
)

func TestL2_WhatIsRecordedOfAPath(t *testing.T) {
	long := strings.Repeat("p", 300)
	for _, c := range []struct{ what, path, recorded string }{
		{"as it came", "/a//b/../c;d", "/a//b/../c;d"},
		{"a long one", "/" + strings.Repeat("a/", 300) + "b", "/" + strings.Repeat("a/", 300) + "b"},
		{"a long one with detours", "/a" + strings.Repeat("/.", 200) + "/b", "/a" + strings.Repeat("/.", 200) + "/b = /a/b"},
		{"a long one with parameters", "/a;" + long + "/delete;" + long + "/b", "/a;" + long + "/delete;" + long + "/b = /a/delete/b"},
		{"a long one with detours as parameters", "/a/x/..;" + long + "/b/.;" + long, "/a/x/..;" + long + "/b/.;" + long + " = /a/b"},
		{"a long one with backslashes", `/a` + strings.Repeat(`\.`, 200) + `\b`, `/a` + strings.Repeat(`\.`, 200) + `\b = /a/b`},
	} {
		if got := recordedPath(c.path); got != c.recorded {
			t.Errorf("%s: %s", c.what, got)
		}
	}
}
