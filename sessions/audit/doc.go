// Package audit writes a file of what happened to sessions, one JSON object per line, in which
// tampering can be detected: each line has a number, contains the SHA-256 of the previous line
// (prev), and ends with its own (sha256).
//
//	{"seq":2,"time":"2026-11-22T10:00:00.000Z","event":"created",...,"prev":"<of line 1>","sha256":"<of all before this member>"}
//
// A Writer appends lines, across restarts and rotations, and a Chain verifies them.
//
//	what happens to the file                 what the writer does                      what a chain reports
//	torn last line, after a crash            removes it, writes a line "recovered"     valid
//	moved away, or emptied (a rotation)      continues in the next, with "rotated"     valid, file after file
//	a line changed, removed, swapped, added  nothing                                   the place
//	lines truncated at the end               continues; the next lines do not match    the place, if the head is known
//
// The chain has no key: whoever can rewrite the whole file can make it consistent again. So keep
// heads elsewhere: each log entry contains one.
package audit
