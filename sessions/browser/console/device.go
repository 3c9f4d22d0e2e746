package console

import (
	"cmp"
	"strings"

	"authsidecar/sessions"
)

// A named is what a product calls itself in a user agent, and what people call it.
type named struct{ part, name string }

// browsers and systems are in the order in which they are looked for: most say that they are the
// others too.
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

// maxDevice is how many bytes of an unknown name are shown.
const maxDevice = 60

// deviceOf says on what a session is: the browser and the system, or what the program calls itself.
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
