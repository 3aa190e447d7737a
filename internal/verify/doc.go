// Package verify checks the file of an open store: every record and its place in its commit
// and stream, the index against the log in both directions, the rows and checkpoints of
// views, and the pages. [Run] reads in pages and holds no transaction between them; its
// memory does not grow with the log.
package verify
