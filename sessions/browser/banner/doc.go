// Package banner puts a bar on the pages of the app that shows who acts as whom: one script tag
// behind the end of the page. It knows no Caddy, no session and no cookie.
//
//	Wanted     reports whether a request is for a page that a person looks at
//	Banner     begins a Page for such a request
//	Page       the answer: passed on as it comes, with the tag behind it where that is possible
//	Outcome    what became of the bar
//	Serve      answers with the script
//
// The app never breaks: what is no whole page in plain HTML is passed on as it is, and where the
// policy of the page (Content-Security-Policy) would not let the bar work, there is no tag. That
// policy is never changed.
package banner
