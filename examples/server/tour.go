package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// request is one of the tour's.
type request struct {
	method, path, body string
	header             map[string]string
}

var requests = []request{
	{"GET", "/ready", "", nil},
	{"POST", "/carts/7/items", `{"sku":"mug","quantity":2,"price":"4.50"}`, map[string]string{"Idempotency-Key": "a"}},
	{"POST", "/carts/7/items", `{"sku":"mug","quantity":2,"price":"4.50"}`, map[string]string{"Idempotency-Key": "a"}}, // sent again
	{"POST", "/carts/7/items", `{"sku":"","quantity":1,"price":"1.00"}`, nil},
	{"POST", "/carts/7/items", `{"sku":"mug","quantity":0,"price":"4.50"}`, nil},
	{"POST", "/carts/7/checkout", "", map[string]string{"If-Match": `"0"`}},
	{"POST", "/carts/7/checkout", "", map[string]string{"If-Match": `"1"`}},
	{"GET", "/carts/7", "", nil},
	{"GET", "/carts/8", "", nil},
	{"GET", "/sellers?after=2", "", nil},
}

// tour runs the server on a log that it throws away, sends the requests to it, and ends
// it.
func tour(ctx context.Context, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "server-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ctx, end := context.WithCancel(ctx)
	defer end()
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		return err
	}
	var failed error
	var asking sync.WaitGroup
	err = run(ctx, filepath.Join(dir, "shop.yore"), listener, func() {
		asking.Go(func() {
			defer end()
			for _, r := range requests {
				failed = errors.Join(failed, send(ctx, out, listener.Addr().String(), r))
			}
		})
	})
	asking.Wait()
	return errors.Join(err, failed)
}

// send sends a request and prints it with its answer.
func send(ctx context.Context, out io.Writer, address string, r request) error {
	q, err := http.NewRequestWithContext(ctx, r.method, "http://"+address+r.path, strings.NewReader(r.body))
	if err != nil {
		return err
	}
	q.Header.Set("X-User", "ann")
	for name, value := range r.header {
		q.Header.Set(name, value)
	}
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	for _, line := range [][]string{
		{r.method, r.path, r.body},
		{"  ", answer.Status[:3], answer.Header.Get("ETag"), strings.TrimSpace(string(body))},
	} {
		fmt.Fprintln(out, strings.TrimRight(strings.Join(line, " "), " "))
	}
	return err
}
