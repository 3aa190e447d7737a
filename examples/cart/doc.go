// Cart is a shopping cart that keeps its events with Yore.
//
// Without arguments it runs a guided tour, on a temporary log:
//
//	go run ./examples/cart
//
// With -db it works on a log in a file:
//
//	go run ./examples/cart -db shop.yore add ann 85123A 2 2.55 "White hanging heart"
//	go run ./examples/cart -db shop.yore show ann
//	go run ./examples/cart -db shop.yore list
//	go run ./examples/cart -db shop.yore top
//	go run ./examples/cart -h
//
// The domain is in the package cart below this directory; begin there. This program is
// the application around it: shop.go binds domain, store and dispatcher, readmodel.go
// keeps and reads the read models, change.go, view.go and lists.go are the subcommands,
// import.go imports an order book with many concurrent commands, and tour.go is the tour.
//
// There are two read models, in the same file as the log. Every subcommand that changes
// carts attaches the summaries, which are then committed with the events. The best
// sellers follow the log while import runs; top brings them up to date before it reads
// them. In a log of an older program without read models, they are built when they are
// first needed.
//
// The exit status is 0 for success, 1 for an error, and 2 for an invalid command line.
// Messages go to the standard error.
package main
