// Package banner adds a bar to the pages of the app that shows who is acting as whom: a single
// script tag after the end of the page. It depends on neither Caddy nor sessions nor cookies.
//
//	Wanted     reports whether a request is for a page that a person looks at
//	Banner     creates a Page for such a request
//	Page       the response: passed on as it arrives, followed by the tag if possible
//	Outcome    what happened to the bar
//	Serve      answers with the script
//
// It never breaks the app: a response that is not a complete page in uncompressed HTML is passed on
// unchanged, and if the page's policy (Content-Security-Policy) would not let the bar work, no tag
// is added. The policy is never changed.
package banner
