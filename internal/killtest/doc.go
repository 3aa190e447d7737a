// Package killtest has no code. Its tests kill processes that keep read models,
// at random moments, and compare what is left with a fresh fold of the log.
package killtest
