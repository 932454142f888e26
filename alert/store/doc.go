// Package store keeps incidents, messages that wait, what detection and notifiers remember, and rounds, in one SQLite file
// (https://sqlite.org, by modernc.org/sqlite: no cgo). It implements [alert.Store].
//
// A commit has survived a crash of the machine when it returns: the journal is a write-ahead log and synchronous is FULL.
// One process writes; others may read meanwhile. A file that is damaged is moved aside, never deleted, and a new one is
// begun. A disk that is full stops nothing: a commit says so and is tried again, and a process that begins on one begins.
//
// The file is for people too: sqlite3 whichlayer.db 'SELECT id, target, layer, cause FROM incidents'. Times are nanoseconds
// since 1970, UTC. Columns named json hold JSON; where it is large, of events, deliveries and rounds, it is compressed.
//
// Read it in this order: db, readonly, schema, codec, commit, load, rounds, read, trim, boring, shrink, damage, room, lock.
package store
