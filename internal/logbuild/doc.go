// Package logbuild makes whole log files: from records that a caller adds ([Builder]), or
// from another log file ([Rewrite]). Restore, Compact, Reindex, Salvage and the creation
// of a new log use it.
package logbuild
