// Package surface has no code. Its tests hold the exported names of the public packages to
// two rules: none comes, goes or changes but by a change of the texts in testdata/api, and
// each is shown in an example, so that nothing is exported that nobody was shown a use of.
//
//	go test ./internal/surface -update
//
// writes testdata/api anew, and testdata/unshown.txt, the names that no example shows.
// testdata/exempt.txt is written by hand: names that need no example, and why.
package surface
