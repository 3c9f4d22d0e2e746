// Package redistest starts Redis servers for tests: alone, with replicas, with Sentinels, and as a
// cluster.
package redistest
