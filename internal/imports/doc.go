// Package imports has no code. Its test compares the imports of every package of the
// module with a list, which is the architecture in one table: arrows go down only,
// bbolt is known to one store, and a program that imports the core gets three
// modules and no more.
package imports
