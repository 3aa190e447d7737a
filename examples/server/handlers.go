package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/command"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/examples/cart/cart"
)

func (s *shop) addItem(w http.ResponseWriter, r *http.Request) {
	var body struct {
		SKU      string     `json:"sku"`
		Quantity int64      `json:"quantity"`
		Price    cart.Money `json:"price"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&body); err != nil {
		http.Error(w, "the body is not an item", http.StatusBadRequest)
		return
	}
	s.carryOut(w, r, cart.AddItem{Cart: r.PathValue("id"), SKU: body.SKU, Quantity: body.Quantity, UnitPrice: body.Price})
}

func (s *shop) checkout(w http.ResponseWriter, r *http.Request) {
	s.carryOut(w, r, cart.Checkout{Cart: r.PathValue("id")})
}

// carryOut answers a request by what becomes of a command.
func (s *shop) carryOut(w http.ResponseWriter, r *http.Request, cmd cart.Command) {
	conditions, err := ifMatch(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	result, receipt, err := command.Dispatch[aggregate.Result[cart.State, cart.Event]](scoped(r), s.commands, cmd, conditions...)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("ETag", strconv.Quote(fmt.Sprint(result.Version)))
	w.Header().Set("Log-Position", fmt.Sprint(receipt.Last))
	writeJSON(w, result.State)
}

// ifMatch returns the condition that the request makes, or none.
func ifMatch(r *http.Request) ([]aggregate.Condition, error) {
	tag := r.Header.Get("If-Match")
	if tag == "" {
		return nil, nil
	}
	version, err := strconv.ParseUint(strings.Trim(tag, `"`), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("If-Match is the ETag of an earlier answer, not %q", tag)
	}
	return []aggregate.Condition{aggregate.If(eventstore.Version(version))}, nil
}

// scoped returns the request's context with its user, and with the id of its command. The
// id is made of the key that the client sends and of what the key is for, so that the
// same key of another user, or for another route, is another id.
func scoped(r *http.Request) context.Context {
	user := r.Header.Get("X-User") // set by the proxy, which knows the user
	ctx := eventstore.WithActor(r.Context(), user)
	key := r.Header.Get("Idempotency-Key")
	if key == "" {
		return ctx
	}
	return eventstore.WithCommandID(ctx, eventstore.DeriveCommandID(user, r.Method, r.URL.Path, key))
}

func (s *shop) showCart(w http.ResponseWriter, r *http.Request) {
	state, version, err := s.summaries.Load(r.Context(), s.store, r.PathValue("id"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if version == 0 {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("ETag", strconv.Quote(fmt.Sprint(version)))
	writeJSON(w, state)
}

// listSellers waits for the position that the client has written, if it says one.
func (s *shop) listSellers(w http.ResponseWriter, r *http.Request) {
	if after := r.FormValue("after"); after != "" {
		position, err := strconv.ParseUint(after, 10, 64)
		if err != nil {
			http.Error(w, "after is the Log-Position of an earlier answer", http.StatusBadRequest)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		if err := s.views.Wait(ctx, eventstore.Position(position), s.ranking.Projection); err != nil {
			s.fail(w, r, err)
			return
		}
	}
	sellers, err := s.ranking.ByPieces(r.Context(), s.store, 10)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	writeJSON(w, sellers)
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value) // an error is the connection's
}
