package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	listen := flag.String("listen", "", "the address to serve at; without one, a few requests are sent and the program ends")
	path := flag.String("db", "shop.yore", "the file of the log")
	flag.Parse()
	ctx, end := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer end()
	if err := start(ctx, *listen, *path); err != nil {
		log.Fatal(err) // its supervisor starts it again
	}
}

func start(ctx context.Context, address, path string) error {
	if address == "" {
		return tour(ctx, os.Stdout)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	return run(ctx, path, listener, func() { fmt.Println("ready at", listener.Addr()) })
}
