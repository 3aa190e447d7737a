// Package imports has no code. Its test holds every package of the module to a
// list of what it may import, which is the architecture in one table: arrows go
// down only, bbolt is known to one store, and whoever imports the core gets
// three modules and no more.
package imports
