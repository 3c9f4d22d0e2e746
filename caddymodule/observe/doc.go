// Package observe reports what happens in auth_sessions blocks, and how they do: to whom it may
// concern, and without a token.
//
//	an event of a session      Reporter.Event     metrics, audit, Caddy's events, the log
//	a request of ours          Answered           access log, trace
//	a request of the app       Forwarded, Refused access log, trace
//	a request that was refused Reporter.Failed    metrics, the log
//	an impersonated request    Reporter.Acting    metrics, audit
//	a call of the store        Meter              metrics, trace
//	how a block does           Block              gauges, the health path
//
// A [Reporter] is that of one block. What it has to know of the block, a [Block] says.
package observe
