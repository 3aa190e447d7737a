// Server is a shopping cart behind HTTP, as a program that runs for years: it starts in
// an order, says when it is ready, tells clients what they may know of an error, ends in
// an order, and has figures for an operator. The cart itself is that of
// examples/cart/cart.
//
// Without arguments it sends a few requests to itself and ends:
//
//	go run ./examples/server
//
// With -listen it serves until it is interrupted:
//
//	go run ./examples/server -listen localhost:8080 -db shop.yore
//	curl -i -H 'X-User: ann' -H 'Idempotency-Key: 1' -d '{"sku":"mug","quantity":2,"price":"4.50"}' localhost:8080/carts/7/items
//	curl -i localhost:8080/carts/7
//	curl -i localhost:8080/sellers
//	curl -i localhost:8080/ready
//
// docs/how-to/put-it-in-a-server.md and docs/how-to/operate.md explain it.
package main
