// Package lengths has no code. Its test measures the source of all modules in the
// tree: a function has at most 50 lines, a file at most 500, tests included, and a
// package at most 35 files beside its tests. A longer one is broken up by what it
// does, not by its length.
package lengths
