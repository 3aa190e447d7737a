package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// drainTime is how long requests that are being answered may take after the signal.
const drainTime = 10 * time.Second

// run serves until ctx ends, and returns nil then; or until the server cannot go on, and
// returns why. It calls ready when it has begun to answer, and closes the listener.
func run(ctx context.Context, path string, listener net.Listener, ready func()) (err error) {
	serving, stop := context.WithCancelCause(ctx) // ends with ctx, or when the server cannot go on
	defer stop(nil)
	front := &door{}
	server := &http.Server{Handler: front, ReadHeaderTimeout: 10 * time.Second}
	var group sync.WaitGroup
	defer group.Wait()
	defer server.Close()
	group.Go(func() { stop(server.Serve(listener)) }) // it is not ready, and says so

	store, err := open(serving, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rescue(store, path), store.Close()) }() // after all that uses it
	s, err := newShop(store, stop)
	if err != nil {
		return err
	}
	err = s.serve(serving, func() {
		front.open(s.routes())
		ready()
	}, func() error {
		front.close()
		return drain(server)
	})
	if ctx.Err() == nil { // it was not asked to end
		err = errors.Join(context.Cause(serving), err)
	}
	return err
}

// open opens the store. While another process has the file, it waits: until that one
// has ended, or ctx has.
func open(ctx context.Context, path string) (*boltstore.Store, error) {
	if _, err := os.Stat(path + rescued); err == nil {
		return nil, fmt.Errorf("%s%s has a log whose file was removed: restore it, then move it away", path, rescued)
	}
	for {
		store, err := boltstore.Open(path, &boltstore.Options{Logger: slog.Default(), LockTimeout: time.Second})
		if !errors.Is(err, eventstore.ErrLocked) || ctx.Err() != nil {
			return store, err
		}
		slog.Info("waiting for the process that has the file", "file", path)
	}
}

// rescued is the end of the name of the backup that rescue makes.
const rescued = ".rescued"

// rescue backs up a store whose file is not at its path any more: nothing else has the
// events, and Close lets go of them.
func rescue(store *boltstore.Store, path string) (err error) {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path+rescued, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = store.Backup(context.Background(), f, nil)
	return errors.Join(err, f.Sync(), f.Close())
}

// serve keeps the read models up to date. When they can be read, it calls ready, and
// waits for ctx to end; then it calls drain, and ends the read models after it.
func (s *shop) serve(ctx context.Context, ready func(), drain func() error) error {
	running, end := context.WithCancel(context.WithoutCancel(ctx)) // not ended by the signal
	var views sync.WaitGroup
	defer views.Wait()
	defer end()
	if err := s.attach(ctx); err != nil {
		return err
	}
	views.Go(func() { s.stop(s.views.Run(running, s.ranking.Projection)) }) // no server without it
	if err := s.views.Ready(ctx, s.summaries.Projection, s.ranking.Projection); err != nil {
		return err
	}
	ready()
	<-ctx.Done()
	return drain()
}

// attach attaches the summaries, and rebuilds them if they have a fault from before.
func (s *shop) attach(ctx context.Context) error {
	err := s.views.Attach(ctx, s.summaries.Projection)
	if errors.Is(err, eventstore.ErrFaulted) {
		err = s.views.Rebuild(ctx, nil, s.summaries.Projection)
	}
	return err
}

// drain lets the requests that are being answered end, and cuts them off if they take too
// long.
func drain(server *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return errors.Join(err, server.Close())
	}
	return nil
}

// door is the handler of a server that is not always ready: it answers 503 until it is
// opened, and after it is closed. That the process lives it always says.
type door struct {
	mu      sync.RWMutex
	handler http.Handler
}

func (d *door) open(h http.Handler) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.handler = h
}

func (d *door) close() { d.open(nil) }

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.RLock()
	h := d.handler
	d.mu.RUnlock()
	switch {
	case r.URL.Path == "/live":
		w.WriteHeader(http.StatusNoContent)
	case h == nil:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "not ready", http.StatusServiceUnavailable)
	default:
		h.ServeHTTP(w, r)
	}
}
