// Package pebblestore keeps sessions in an embedded Pebble database: one
// directory, one process.
package pebblestore
