// Package howto has no code. Its tests follow the links of all pages, and compare the code
// on the how-to pages with code that is compiled and run in this module.
package howto
