// Package redistest starts Redis servers for tests: alone, with replicas, watched by
// Sentinels, and in a cluster.
package redistest
