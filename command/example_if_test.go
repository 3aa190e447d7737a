package command_test

import (
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/command"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

// increment carries out a command if the counter is as the client has seen it.
func increment(d *command.Dispatcher) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		seen, err := strconv.ParseUint(strings.Trim(r.Header.Get("If-Match"), `"`), 10, 64)
		if err != nil {
			http.Error(w, "say which version you have seen", http.StatusPreconditionRequired)
			return
		}
		cmd := Increment{Counter: r.PathValue("id"), By: 1}
		result, _, err := command.Dispatch[aggregate.Result[int, Incremented]](r.Context(), d, cmd,
			aggregate.If(eventstore.Version(seen)))
		var invalid *command.ValidationError
		switch {
		case errors.Is(err, aggregate.ErrCondition):
			http.Error(w, "it has changed since you looked", http.StatusPreconditionFailed)
		case errors.As(err, &invalid):
			http.Error(w, invalid.Err.Error(), http.StatusBadRequest) // the text of Validate
		case err != nil:
			http.Error(w, "something is wrong here", http.StatusInternalServerError)
		default:
			w.Header().Set("ETag", fmt.Sprintf("%q", fmt.Sprint(result.Version)))
			fmt.Fprintln(w, "the counter is at", result.State)
		}
	}
}

// An HTTP server answers 412 to a request that was made for a version of yesterday.
func ExampleDispatch_ifMatch() {
	store := memstore.New(nil)
	defer store.Close()
	d := command.NewDispatcher(command.Validate())
	if err := command.Route(d, newCounters(store), Command.CounterID); err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("POST /counters/{id}/increment", increment(d))

	for _, seen := range []string{"", `"0"`, `"0"`, `"1"`} {
		request := httptest.NewRequest(http.MethodPost, "/counters/7/increment", nil)
		request.Header.Set("If-Match", seen)
		answer := httptest.NewRecorder()
		mux.ServeHTTP(answer, request)
		fmt.Println(answer.Code, answer.Header().Get("ETag"), strings.TrimSpace(answer.Body.String()))
	}
	// Output:
	// 428  say which version you have seen
	// 200 "1" the counter is at 1
	// 412  it has changed since you looked
	// 200 "2" the counter is at 2
}
