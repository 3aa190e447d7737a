// Package verify checks the file of a store that is in use: every record and its place
// in its commit and stream, the index against the log in both directions, the rows and
// checkpoints of views, and pages. [Run] reads a page at a time and holds no transaction
// between pages; its memory does not grow with the log.
package verify
