// Package urlpath knows that servers differ in what they make of the path of a URL.
//
//	Canonical   the path has no variants: all servers read it alike
//	Fold        what is left of a canonical path where look-alikes are one letter
//	Own         our own paths: is a path ours, a variant of ours, or neither?
//	Local       a path of this site, to which a browser may be sent back
//	Relative    that, or a word: no URL of another site
//
// Who decides by paths, decides by canonical ones alone; what else arrives is refused, or
// gets no privilege.
package urlpath
