package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/command"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/examples/cart/cart"
	"github.com/yore-es/yore/projection"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

func TestTour(t *testing.T) {
	want, err := os.ReadFile(filepath.Join("testdata", "tour.txt"))
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, tour(t.Context(), &out))
	require.Equal(t, string(want), out.String())
}

// server is a run that a test has begun.
type server struct {
	t       *testing.T
	address string
	ready   chan struct{}
	end     context.CancelFunc
	ended   chan error
}

func begin(t *testing.T, path string) *server {
	t.Helper()
	listener, err := net.Listen("tcp", "localhost:0")
	require.NoError(t, err)
	ctx, end := context.WithCancel(t.Context())
	s := &server{t: t, address: listener.Addr().String(), ready: make(chan struct{}), end: end, ended: make(chan error, 1)}
	go func() { s.ended <- run(ctx, path, listener, func() { close(s.ready) }) }()
	return s
}

// ask returns the answer to a request, and its body.
func (s *server) ask(method, path, body string, header ...string) (*http.Response, string) {
	s.t.Helper()
	q, err := http.NewRequestWithContext(s.t.Context(), method, "http://"+s.address+path, strings.NewReader(body))
	require.NoError(s.t, err)
	for i := 0; i < len(header); i += 2 {
		q.Header.Set(header[i], header[i+1])
	}
	answer, err := http.DefaultClient.Do(q)
	require.NoError(s.t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(s.t, err)
	return answer, string(text)
}

const mug = `{"sku":"mug","quantity":1,"price":"4.50"}`

// The new process listens at once, says that it lives and is not ready, and opens the file
// when the old one has ended.
func TestRun_WaitsForTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.yore")
	old, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	s := begin(t, path)
	answer, _ := s.ask("GET", "/live", "")
	require.Equal(t, http.StatusNoContent, answer.StatusCode)
	answer, _ = s.ask("GET", "/ready", "")
	require.Equal(t, http.StatusServiceUnavailable, answer.StatusCode)
	require.Equal(t, "1", answer.Header.Get("Retry-After"))
	require.NoError(t, old.Close())
	<-s.ready
	answer, _ = s.ask("GET", "/ready", "")
	require.Equal(t, http.StatusNoContent, answer.StatusCode)
	s.end()
	require.NoError(t, <-s.ended)
}

func TestRun_AKeyIsTheUsersOwn(t *testing.T) {
	s := begin(t, filepath.Join(t.TempDir(), "shop.yore"))
	<-s.ready
	for _, c := range []struct{ user, etag string }{{"ann", `"1"`}, {"ann", `"1"`}, {"bob", `"2"`}} {
		answer, text := s.ask("POST", "/carts/7/items", mug, "Idempotency-Key", "a", "X-User", c.user)
		require.Equal(t, http.StatusOK, answer.StatusCode, text)
		require.Equal(t, c.etag, answer.Header.Get("ETag"))
	}
	answer, text := s.ask("GET", "/metrics", "")
	require.Equal(t, http.StatusOK, answer.StatusCode)
	for _, line := range []string{"yore_head 2", "yore_transactions_failed_total 0", `yore_view_stopped{view="carts"} 0`} {
		require.Contains(t, text, line+"\n")
	}
	s.end()
	require.NoError(t, <-s.ended)
}

// A store that takes no more changes ends the server, so that it is started again. If its
// file is gone, the events are in a backup then, and the server does not begin a new log.
func TestRun_EndsWhenTheStoreHasFailed(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a file that is open cannot be renamed there")
	}
	path := filepath.Join(t.TempDir(), "shop.yore")
	s := begin(t, path)
	<-s.ready
	answer, _ := s.ask("POST", "/carts/7/items", mug)
	require.Equal(t, http.StatusOK, answer.StatusCode)
	answer, _ = s.ask("GET", "/sellers?after=1", "") // or the read model is the first to fail
	require.Equal(t, http.StatusOK, answer.StatusCode)
	require.NoError(t, os.Remove(path))
	answer, text := s.ask("POST", "/carts/7/items", mug)
	require.Equal(t, http.StatusServiceUnavailable, answer.StatusCode)
	require.Equal(t, "not now; send it again, with the same key\n", text)
	require.ErrorIs(t, <-s.ended, eventstore.ErrFailed)

	backup, err := os.Open(path + rescued)
	require.NoError(t, err)
	defer backup.Close()
	manifest, err := boltstore.VerifyBackup(t.Context(), backup)
	require.NoError(t, err)
	require.Equal(t, eventstore.Position(1), manifest.Through)
	require.ErrorContains(t, <-begin(t, path).ended, "restore it")
	require.NoFileExists(t, path)
}

// While requests are being answered after the signal, the read models go on; when serve
// has returned, they have ended.
func TestServe_DrainsBeforeTheReadModelsEnd(t *testing.T) {
	store, err := boltstore.Open(filepath.Join(t.TempDir(), "shop.yore"), nil)
	require.NoError(t, err)
	defer store.Close()
	ctx, stop := context.WithCancelCause(t.Context())
	var viewsEnded atomic.Bool
	s, err := newShop(store, func(err error) { // serve calls it when Run has returned
		viewsEnded.Store(true)
		stop(err)
	})
	require.NoError(t, err)
	err = s.serve(ctx, func() { stop(errors.New("a signal")) }, func() error {
		cmd := cart.AddItem{Cart: "7", SKU: "mug", Quantity: 1, UnitPrice: 4500}
		_, receipt, err := command.Dispatch[cart.State](t.Context(), s.commands, cmd)
		require.NoError(t, err)
		late, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.NoError(t, s.views.Wait(late, receipt.Last, s.ranking.Projection))
		require.False(t, viewsEnded.Load())
		return errors.New("drained")
	})
	require.EqualError(t, err, "drained")
	require.True(t, viewsEnded.Load())
}

func TestProblemOf(t *testing.T) {
	refusal := &cart.Refusal{Command: cart.Checkout{Cart: "7"}, Rule: cart.ErrEmpty}
	invalid := &command.ValidationError{Err: &cart.Refusal{Command: cart.AddItem{Cart: "7"}, Rule: cart.ErrName}}
	conflict := fmt.Errorf("execute: %w", &eventstore.ConflictError{Stream: "cart-7"})
	for _, c := range []struct {
		err  error
		want problem
	}{
		{fmt.Errorf("wrapped: %w", invalid), problem{400, cart.ErrName.Error()}},
		{refusal, problem{422, "the cart is empty"}},
		{fmt.Errorf("execute: %w", &aggregate.CommandIDError{CommandID: "k"}), problem{422, "the key was used for another request"}},
		{&aggregate.BatchError{Index: 1, Stream: "cart-7", Err: refusal}, problem{422, "command 2: the cart is empty"}},
		{&command.ForbiddenError{Actor: "ann", Err: errors.New("secret")}, problem{403, "you may not do that"}},
		{fmt.Errorf("%w: %w", aggregate.ErrCondition, conflict), problem{412, "it has changed since you looked"}},
		{conflict, problem{409, "others were faster each time; send it again"}},
		{&eventstore.LimitError{What: "bytes of payload"}, problem{413, "it is too large"}},
		{fmt.Errorf("key: %w", eventstore.ErrInvalid), problem{400, "it cannot be carried out as it is"}},
		{&projection.LateError{Err: context.DeadlineExceeded}, problem{503, "not now; send it again, with the same key"}},
		{&eventstore.FaultedError{View: "carts"}, problem{503, "not now; send it again, with the same key"}},
		{&eventstore.CorruptError{Position: 7}, problem{500, "something is wrong here"}},
	} {
		require.Equal(t, c.want, problemOf(c.err), "%v", c.err)
	}
}
