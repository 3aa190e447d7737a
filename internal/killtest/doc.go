// Package killtest has no code. Its tests kill processes that maintain read models,
// at random moments, and compare the read models with a fresh fold of the log.
package killtest
