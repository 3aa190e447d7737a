package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore/boltstore"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// rule is a rule of the examples, as the error of a refusal.
type rule string

func (r rule) Error() string { return string(r) }

// newRegistry returns a registry of the events of all examples.
func newRegistry() (*codec.Registry, error) {
	b := codec.NewBuilder()
	for _, register := range []func(*codec.Builder){
		registerCourses, registerUsernames, registerPrices, registerOptIn, registerInvoices, registerOrders,
	} {
		register(b)
	}
	return b.Build()
}

// run runs the tour with its own clock, on a log in a temporary directory.
func run(ctx context.Context, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "boundaries-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	t := &tour{ctx: ctx, out: out, now: time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)}
	store, err := boltstore.Open(filepath.Join(dir, "tour.yore"), &boltstore.Options{Clock: func() time.Time { return t.now }})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	registry, err := newRegistry()
	if err != nil {
		return err
	}
	if t.decisions, err = aggregate.NewDecisions(store, registry, nil); err != nil {
		return err
	}
	t.walk()
	return t.err
}

// tour carries out decisions and prints their results, until the first error.
type tour struct {
	ctx       context.Context
	out       io.Writer
	now       time.Time
	decisions *aggregate.Decisions
	err       error
}

func (t *tour) walk() {
	t.chapter("A course has a limit of students, a student a limit of courses")
	t.do("define a course with 1 seat", defineCourse("algebra", 1))
	t.do("ann subscribes", subscribe("ann", "algebra"))
	t.do("bob subscribes", subscribe("bob", "algebra"))
	t.do("make it 2 seats", changeCapacity("algebra", 2))
	t.do("bob subscribes", subscribe("bob", "algebra"))

	t.chapter("A name belongs to one account, and is reserved for a while after it")
	t.do("register ann", registerAccount("ann", t.now))
	t.do("register ann", registerAccount("ann", t.now))
	t.do("ann becomes anna", changeUsername("ann", "anna", t.now))
	t.do("register ann", registerAccount("ann", t.now))
	t.pass(retention + time.Second)
	t.do("register ann", registerAccount("ann", t.now))

	t.chapter("A price stays valid for ten minutes after it was changed")
	t.do("a mug is 8", defineProduct("mug", 8))
	t.do("a lamp is 40", defineProduct("lamp", 40))
	t.pass(time.Hour)
	t.do("a mug is 9", changePrice("mug", 9))
	t.pass(grace)
	t.do("order mug at 8, lamp at 40", orderProducts([]OrderItem{{"mug", 8}, {"lamp", 40}}, t.now))
	t.pass(time.Second)
	t.do("order mug at 8", orderProduct("mug", 8, t.now))
	t.do("order mug at 9", orderProduct("mug", 9, t.now))

	t.chapter("A token confirms an address once, within an hour")
	t.do("send 1111", initiateSignUp("ann@example.com", "1111", "Ann"))
	t.do("send 2222", initiateSignUp("bob@example.com", "2222", "Bob"))
	t.do("confirm by 1111", confirmSignUp("ann@example.com", "1111", t.now))
	t.do("confirm by 1111", confirmSignUp("ann@example.com", "1111", t.now))
	t.pass(tokenLife + time.Second)
	t.do("confirm by 2222", confirmSignUp("bob@example.com", "2222", t.now))

	t.chapter("Numbers without gaps")
	t.do("an invoice", createInvoice("a mug"))
	t.do("an invoice", createInvoice("a lamp"))

	t.chapter("A form that is sent twice orders once")
	t.do("form f81 orders", placeOrder("order-1", "f81"))
	t.do("form f81 orders", placeOrder("order-2", "f81"))
}

func (t *tour) chapter(title string) { t.printf("\n%s\n", title) }

func (t *tour) pass(d time.Duration) {
	t.now = t.now.Add(d)
	t.printf("  … %v later\n", d)
}

func (t *tour) do(what string, decision aggregate.Decision) {
	if t.err != nil {
		return
	}
	result, err := t.decisions.Execute(t.ctx, decision)
	var broken rule
	switch {
	case err == nil:
		t.printf("  %-27s %+v\n", what, result.Events[0])
	case errors.As(err, &broken):
		t.printf("  %-27s refused: %v\n", what, err)
	default:
		t.err = err
	}
}

func (t *tour) printf(format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.out, format, args...)
	}
}
