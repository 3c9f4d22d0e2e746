// Package observe reports what happens in auth_sessions blocks, and their state: in metrics, an
// audit, Caddy's events, access logs, traces and the log. No token gets into any of them.
//
//	an event of a session      Reporter.Event     metrics, audit, Caddy's events, the log
//	a request of ours          Answered           access log, trace
//	a request of the app       Forwarded, Refused access log, trace
//	a request that was refused Reporter.Failed    metrics, the log
//	an impersonated request    BeforeActing       metrics, audit
//	a call of the store        Meter              metrics, trace
//	the state of a block       Block              gauges, the health path
//
// A [Reporter] is that of one block, whose state it reads through a [Block].
package observe
