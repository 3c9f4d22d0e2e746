// Package console serves the pages of the console. People see and revoke their own sessions. With
// the necessary rights they also see who is acting as whom, revoke those sessions, start an
// impersonation, and read the history. The console has a host of its own, so no script of an app
// runs there.
//
//	GET  /                  a person's own sessions      POST /end, /end-others
//	GET  /acting            who is acting as whom        POST /acting/end
//	GET  /acting/end-all    how many a filter selects    POST /acting/end-all
//	GET  /act               the form                     POST /act
//	GET  /act/link          the resulting link
//	GET  /history           the audit, newest first
//	     <path>/sign-in     and the other endpoints of package browser at this host
//	     anything else      404
//
// It decides nothing itself: sessions.Manager decides what a person may see and do, as for the API,
// with the claims that were recorded when they signed in here. It does not depend on Caddy.
package console
