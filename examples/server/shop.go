package main

import (
	"context"
	"net/http"
	"time"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/command"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/examples/cart/cart"
	"github.com/yore-es/yore/projection"
)

// shop is what the handlers of requests work with.
type shop struct {
	store     *boltstore.Store
	commands  *command.Dispatcher
	views     *projection.Host
	summaries *cart.Summaries // attached
	ranking   *cart.Ranking   // run
	stop      context.CancelCauseFunc
}

// newShop puts the cart on a store, which stays the caller's to close. The function stop
// ends the server, with the reason.
func newShop(store *boltstore.Store, stop context.CancelCauseFunc) (*shop, error) {
	registry, err := cart.Registry()
	if err != nil {
		return nil, err
	}
	carts, err := aggregate.NewRepository(store, registry, cart.Decider, nil)
	if err != nil {
		return nil, err
	}
	commands := command.NewDispatcher(
		command.Recover(), command.CorrelationID(nil), command.Log(nil), command.Timeout(5*time.Second), command.Validate())
	if err := command.Route(commands, carts, cart.Command.CartID); err != nil {
		return nil, err
	}
	views, err := projection.NewHost(store, registry, nil)
	if err != nil {
		return nil, err
	}
	return &shop{
		store: store, commands: commands, views: views,
		summaries: cart.NewSummaries(), ranking: cart.NewRanking(), stop: stop,
	}, nil
}

func (s *shop) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /metrics", s.metrics)
	mux.HandleFunc("POST /carts/{id}/items", s.addItem)
	mux.HandleFunc("POST /carts/{id}/checkout", s.checkout)
	mux.HandleFunc("GET /carts/{id}", s.showCart)
	mux.HandleFunc("GET /sellers", s.listSellers)
	return mux
}
