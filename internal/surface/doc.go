// Package surface has no code. Its tests hold the exported names of the public packages to
// two rules: a name is added, removed or changed together with the texts in testdata/api, and
// each name is shown in an example, so that users have seen a use of it.
//
//	go test ./internal/surface -update
//
// writes testdata/api again.
// testdata/exempt.txt is written by hand: names that need no example, and why.
package surface
