// Package store keeps incidents, messages that wait, what detection and notifiers remember, and rounds, in one SQLite file
// (https://sqlite.org, by modernc.org/sqlite: no cgo). It implements [alert.Store].
//
// A commit has survived a crash of the machine when it returns: the journal is a write-ahead log and synchronous is FULL.
// One process writes; others may read meanwhile. A file that is damaged is moved aside, never deleted, and a new one is
// begun. Times are nanoseconds since 1970, UTC.
//
// Read it in this order: db, schema, commit, load, rounds, read, trim, damage, lock.
package store
