// Package urlpath deals with the different ways in which servers read the path of a URL.
//
//	Canonical   the path has no variants: all servers read it in the same way
//	Fold        a canonical path with characters that look alike made equal
//	Own         our own paths: is a path ours, a variant of ours, or neither?
//	Local       a path of this site, to which a browser may be redirected
//	Relative    the same, or a word: not a URL of another site
//
// Decisions that depend on a path accept only canonical ones; any other path is refused, or gets no
// privilege.
package urlpath
