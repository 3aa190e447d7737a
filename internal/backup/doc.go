// Package backup is the format of backups: a [Writer] for one, and a [Chain] that reads
// a full one with the incremental ones that continue it, and trusts nothing in them.
// docs/reference/backup-format.md describes the bytes.
package backup
