// Package console is the pages of the console, for people: which sessions they have, and by right
// who acts as whom, how to end that and begin it, and what happened. It has a host of its own, on
// which no app and so none of its scripts is served.
//
//	GET  /                  one's own sessions           POST /end, /end-others
//	GET  /acting            who acts as whom             POST /acting/end
//	GET  /acting/end-all    how many a filter selects    POST /acting/end-all
//	GET  /act               the form                     POST /act
//	GET  /act/link          the link that it led to
//	GET  /history           the audit, newest first
//	     <path>/sign-in     and what else package browser has at this host
//	     anything else      404
//
// It decides nothing: what a person may see and do is asked of sessions.Manager, as for the API, with
// the claims that were recorded when they signed in here. It knows no Caddy.
package console
