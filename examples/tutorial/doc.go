// Command tutorial is the program of docs/tutorial.md, which has the reader
// make these files one by one.
package main
