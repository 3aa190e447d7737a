// Package backup is the format of backups. A [Writer] writes one backup; a [Chain] reads a
// full backup and the incremental ones that continue it, and checks everything that it
// reads. docs/reference/backup-format.md describes the bytes.
package backup
