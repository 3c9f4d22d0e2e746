// Package backup defines the format of a backup: one tar file that contains a copy of an embedded
// store. The admin API writes it, and the commands backup and restore read it.
//
// The files of the copy are followed by a list of them with sizes and hashes, so that a truncated
// or modified backup is detected:
//
//	000004.sst              the files of the copy, as the store's engine created them
//	…
//	AUTHSIDECAR-BACKUP.json {"v":1,"engine":"pebble","at":…,"files":{"000004.sst":{"size":…,"sha256":…},…}}
package backup
