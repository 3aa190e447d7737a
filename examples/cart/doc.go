// Cart is a shopping cart that keeps its events with Yore.
//
// Without arguments it is a guided tour, on a log that is thrown away:
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
// What a cart is and what its rules are is in the package cart beneath; begin
// there. This program is what an application has around that: shop.go puts
// domain, store and dispatcher together, readmodel.go keeps and reads the read
// models, change.go, view.go and lists.go are the commands and the questions,
// import.go carries out an order book with many commands at once, and tour.go
// shows what all of it is good for.
//
// There are two read models, in the same file as the log. The summaries of carts
// are attached by every command that changes something, and are committed with the
// events. The best sellers follow the log while import runs; top brings them up to
// date before it reads them. A log without them, made by an older program, gets
// them when they are first needed.
//
// The exit status is 0, or 1 when something could not be done, or 2 when the
// command line is not understood. Messages go to the standard error.
package main
