// Package teststores has store modules that only tests have: they do less than they could, or fail.
package teststores
