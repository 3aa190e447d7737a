// Package howto holds the how-to pages to the code: what they show is compiled and
// run somewhere in this module, word for word.
package howto
