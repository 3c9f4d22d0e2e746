package console

import "fmt"

// words are all texts that people read.
var words = map[string]string{
	"product":     "Sessions",
	"skip":        "Skip to the content",
	"nav.label":   "Pages",
	"nav.own":     "Your sessions",
	"nav.acting":  "Who acts as whom",
	"nav.act":     "Act as a user",
	"nav.history": "History",
	"sign-out":    "Sign out",
	"sign-in":     "Sign in again",
	"signed-in":   "Signed in as",
	"next":        "Next page",
	"first":       "First page",
	"back":        "Back",
	"end":         "End",
	"end.of":      "End the session of %s",
	"ended.one":   "One session was ended.",
	"ended.many":  "%s sessions were ended.",
	"ended.all":   "All of them were ended.",
	"ago":         "%s ago",

	"arrive.title": "One moment",
	"arrive.on":    "Go on",

	"span.days":    "%d d",
	"span.hours":   "%d h",
	"span.minutes": "%d min",
	"span.seconds": "%d s",

	"own.title":      "Where you are signed in",
	"own.lead":       "If you do not know one of these, end it.",
	"own.device":     "Device",
	"own.used":       "Last used",
	"own.begun":      "Signed in",
	"own.this":       "this one",
	"own.console":    "this console",
	"own.program":    "a program",
	"own.acted":      "%s acts as you",
	"own.others":     "End all others",
	"own.stale":      "You signed in here more than a day ago. For more than your own sessions, sign in again.",
	"own.end":        "End the session on %s",
	"device.on":      "%s on %s",
	"device.browser": "a browser",

	"acting.title":   "Who acts as whom",
	"acting.none":    "Nobody acts as another user now.",
	"acting.nothing": "Nothing was found.",
	"acting.more":    "None here; there may be more on the next page.",
	"acting.user":    "User",
	"acting.actor":   "Acted by",
	"acting.issuer":  "Issuer",
	"acting.reason":  "Reason",
	"acting.since":   "Since",
	"acting.left":    "Time left",
	"acting.pending": "link not opened",
	"acting.find":    "Search",
	"acting.all":     "Show all",
	"acting.filter":  "Search by user and actor",
	"acting.end-all": "End all of these…",
	"acting.end":     "End %s acting as %s",

	"preview.title": "End all of these?",
	"preview.one":   "One session would be ended.",
	"preview.many":  "%s sessions would be ended.",
	"preview.more":  "%s sessions and more would be ended.",
	"preview.zero":  "No session would be ended.",
	"preview.all":   "Every session in which somebody acts as another user.",
	"preview.now":   "It ends at once, for all that they have open. Sessions that begin meanwhile may be among them.",
	"preview.do":    "End them",

	"act.title":       "Act as a user",
	"act.lead":        "You get a link, which opens the session in your browser. What you do as this user is recorded.",
	"act.user":        "User id",
	"act.reason":      "Reason",
	"act.optional":    "optional",
	"act.reason.hint": "As a ticket: who looks at the record later reads it.",
	"act.life":        "For how long",
	"act.do":          "Make a link",
	"act.self":        "That is you: choose another user.",
	"act.denied":      "Your account may not act as this user.",

	"link.title": "Act as %s",
	"link.lead":  "The link is good once. It opens where you are signed in.",
	"link.open":  "Open the session",
	"link.copy":  "Copy the link",
	"link.done":  "Copied",
	"link.label": "Link",
	"link.left":  "Good for",
	"link.over":  "over",
	"link.life":  "The session lasts",

	"history.title":  "History",
	"history.lead":   "From the audit, newest first, without refreshes. What is in files that were rotated away is not here.",
	"history.time":   "Time",
	"history.event":  "What",
	"history.who":    "Who",
	"history.user":   "User",
	"history.detail": "Details",
	"history.none":   "Nothing was found.",
	"history.older":  "Older",
	"history.moved":  "The file was rotated meanwhile: this begins with the newest again.",
	"history.part":   "Nothing was found in this part of the file; older lines may have it.",

	"again.title":  "Sign in again",
	"again.text":   "You signed in here more than a day ago. What is not your own takes a new sign-in.",
	"rights.title": "Not with this account",
	"rights.text":  "Your account may not do this here. If that has changed, sign in again.",
	"form.title":   "This form cannot be read",
	"form.text":    "Go back, load the page again, and send the form anew.",
	"down.title":   "This does not work just now",
	"down.text":    "The sessions cannot be reached. Nothing was changed. Try again in a moment.",
	"none.title":   "There is no such page",
	"none.text":    "There is nothing at this address.",
	"gone.title":   "This session is over",
	"gone.text":    "It was ended or came to its end, its link was opened, or it is none that you may see.",
}

// word returns a text. Each of them is asked for by a name that is there.
func word(name string) string {
	text, found := words[name]
	if !found {
		panic("there is no text " + name)
	}
	return text
}

// say returns a text with values in it.
func say(name string, values ...any) string {
	if len(values) == 0 {
		return word(name)
	}
	return fmt.Sprintf(word(name), values...)
}
