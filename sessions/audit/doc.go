// Package audit keeps a file of what happened to sessions, a JSON object a line, that
// shows when somebody tampered with it: each line has a number, holds the SHA-256 of
// the line before (prev), and ends in its own (sha256).
//
//	{"seq":2,"time":"2026-11-22T10:00:00.000Z","event":"created",...,"prev":"<of line 1>","sha256":"<of all before this member>"}
//
// A Writer appends, over restarts and rotations, and a Chain verifies.
//
//	what happens to the file                 what the writer does                      what a chain says
//	torn last line, after a crash            removes it, writes a line "recovered"     good
//	moved away, or emptied (a rotation)      goes on in the next, first line "rotated" good, file after file
//	a line changed, removed, swapped, added  nothing                                   where
//	lines cut off at the end                 goes on; the next lines do not fit        where, if the head is known
//
// The chain has no key: who can rewrite the whole file can make one that is
// consistent. Keep heads elsewhere: each entry of the log names one.
package audit
