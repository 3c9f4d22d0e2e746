package console

import (
	"cmp"
	"strings"

	"authsidecar/sessions"
)

// A named is a product's name in a user agent, and the name that is shown.
type named struct{ part, name string }

// browsers and systems are in the order in which they are tried: most user agents also contain the
// names of others.
var (
	browsers = []named{
		{"Edg", "Edge"},
		{"OPR/", "Opera"},
		{"Vivaldi/", "Vivaldi"},
		{"SamsungBrowser/", "Samsung Internet"},
		{"Firefox/", "Firefox"},
		{"FxiOS/", "Firefox"},
		{"CriOS/", "Chrome"},
		{"Chrome/", "Chrome"},
		{"Safari/", "Safari"},
	}
	systems = []named{
		{"iPhone", "iPhone"},
		{"iPad", "iPad"},
		{"Android", "Android"},
		{"CrOS", "ChromeOS"},
		{"Windows", "Windows"},
		{"Mac OS X", "Mac"},
		{"Linux", "Linux"},
	}
)

func find(list []named, agent string) string {
	for _, n := range list {
		if strings.Contains(agent, n.part) {
			return n.name
		}
	}
	return ""
}

// maxDevice is how much of an unknown name is shown, in bytes.
const maxDevice = 60

// deviceOf describes the device of a session: browser and system, or the beginning of the user
// agent.
func deviceOf(s *sessions.Session) string {
	agent := s.UserAgent
	if strings.HasPrefix(agent, "Mozilla/") {
		browser := cmp.Or(find(browsers, agent), "a browser")
		if system := find(systems, agent); system != "" {
			return browser + " on " + system
		}
		return browser
	}
	if agent != "" {
		return clipped(agent, maxDevice)
	}
	return "a program"
}
