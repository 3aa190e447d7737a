// Package howto has no code. Its test compares the code on the how-to pages with
// code that is compiled and run in this module.
package howto
