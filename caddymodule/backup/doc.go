// Package backup is the format of a backup: one tar file that holds a copy of an embedded
// store. The admin API writes it, and the commands backup and restore read it.
//
// The files of the copy come first, and last a list of them with their sizes and sums, so that
// a backup that was cut off or changed is known for it:
//
//	000004.sst              the files of the copy, as the store's engine made them
//	…
//	AUTHSIDECAR-BACKUP.json {"v":1,"engine":"pebble","at":…,"files":{"000004.sst":{"size":…,"sha256":…},…}}
package backup
