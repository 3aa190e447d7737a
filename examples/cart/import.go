package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strconv"
	"sync"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/examples/cart/cart"
)

// importWorkers is the number of invoices that are imported concurrently. The store makes
// concurrent appends durable with one sync, so more workers raise the throughput.
const importWorkers = 128

var importSubcommand = subcommand{
	name: "import", synopsis: "[-dates dmy|mdy] FILE.csv", min: 1, max: 1,
	summary: "fill carts from an order book in the Online Retail format",
	about: `
FILE.csv begins with the line
  InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
Each invoice is a cart and each of its lines adds an item; after its last line the
cart is checked out, unless nothing was added. Invoice date and customer become
metadata of the events.

A date is 2010-12-01 08:26:00. Dates with slashes, such as 12/1/2010 8:26, are taken
only if -dates says which of day and month is first.

Lines that the rules of the cart refuse are counted with their reason. Malformed lines,
and those that the log cannot hold, are reported with their number, 100 of them, and
the others are counted. None of these stops the import, and the rest of the invoice is
checked out. So correct the file before it is imported: a line that is corrected later
is refused, because the cart is checked out.

The command id of a line is INVOICE/LINE, with its line number in the file, and that
of a checkout INVOICE/checkout. So an import can be repeated, also one that was
killed: a command that was carried out is not carried out again, and counts as
accepted. A line under whose number another line of the invoice was imported before, or
the same one with another date or customer, is rejected. The country is not imported.

The last two lines of the output are
  rows N accepted N rejected N carts N pieces N revenue N.NNN
  repeated N
where carts are those checked out, pieces and revenue are those of the accepted lines,
as they are in the log, and repeated is the number of accepted lines that an earlier
import had added. When they are printed, list and top include the import. The file may
have up to 1 GiB; it is read into memory, and takes up to fifteen times its size there.`,
	setup: func(flags *flag.FlagSet) action {
		dates := flags.String("dates", "", "which of day and month is first in dates with slashes: `dmy` or mdy")
		return func(ctx context.Context, e *environment, args []string) error {
			order := dateOrder(*dates)
			if order != "" && order.layout() == "" {
				return fmt.Errorf("-dates %q: neither dmy nor mdy", *dates)
			}
			return importFile(ctx, e, args[0], order)
		}
	},
}

func importFile(ctx context.Context, e *environment, path string, dates dateOrder) error {
	book, err := readOrderBook(ctx, path, dates)
	if err != nil {
		return err
	}
	errs := &printer{w: e.stderr}
	book.malformed.print(errs, path)
	return withShop(ctx, e, func(s *shop) error {
		wait, stop := s.runRanking(ctx)
		defer stop()
		im := newImporter(s.store, s.dispatch, book)
		stopProgress := showProgress(e.stderr, im)
		err := im.run(ctx, book.invoices)
		stopProgress()
		t := im.tally
		t.reports.print(errs, path)
		t.printReasons(errs)
		if err != nil {
			return fmt.Errorf("import stopped: %w; until then: %v; import the file again to go on", err, t)
		}
		if err := wait(im.last); err != nil {
			e.note("the import is complete, but the best sellers do not include it yet: %w", err)
		}
		e.out.printf("%v\nrepeated %d\n", t, t.repeated)
		return nil
	})
}

// importer carries out an order book with commands.
type importer struct {
	store    eventstore.Store
	dispatch func(context.Context, cart.Command) (result, error)

	mu    sync.Mutex // guards the fields below; not held while a command runs
	tally *tally
	last  eventstore.Position // of the events that the commands made
}

func newImporter(
	store eventstore.Store, dispatch func(context.Context, cart.Command) (result, error), book *orderBook,
) *importer {
	return &importer{store: store, dispatch: dispatch, tally: newTally(book)}
}

// run imports the invoices concurrently, and the lines of each invoice in order. It stops
// at the first error that is not a refusal.
func (im *importer) run(ctx context.Context, invoices []*invoice) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	queue := make(chan *invoice)
	var workers sync.WaitGroup
	for range min(importWorkers, len(invoices)) {
		workers.Go(func() {
			for next := range queue {
				if err := im.invoice(ctx, next); err != nil {
					stop(err)
				}
			}
		})
	}
	for _, next := range invoices {
		select {
		case queue <- next:
		case <-ctx.Done():
		}
	}
	close(queue)
	workers.Wait()
	return context.Cause(ctx)
}

// invoice adds the lines of one invoice to its cart and checks it out.
func (im *importer) invoice(ctx context.Context, order *invoice) error {
	ctx = eventstore.WithCorrelationID(ctx, "invoice "+order.number)
	filled := false
	for _, line := range order.lines {
		if err := ctx.Err(); err != nil {
			return err
		}
		added, err := im.line(line.context(ctx), line)
		if err != nil {
			return fmt.Errorf("line %d: %w", line.line, err)
		}
		filled = filled || added
	}
	if !filled {
		return nil
	}
	last := order.lines[len(order.lines)-1]
	id := eventstore.DeriveCommandID(order.number, "checkout")
	return im.checkout(eventstore.WithCommandID(last.context(ctx), id), order.number)
}

// checkout checks the cart out. A cart that another program has checked out or emptied
// since an earlier import is no error.
func (im *importer) checkout(ctx context.Context, id string) error {
	outcome, err := im.dispatch(ctx, cart.Checkout{Cart: id})
	rule, _, err := refused(err)
	if err != nil {
		return fmt.Errorf("check out invoice %s: %w", id, err)
	}
	im.mu.Lock()
	defer im.mu.Unlock()
	im.last = max(im.last, outcome.Receipt.Last)
	if rule == nil || errors.Is(rule, cart.ErrCheckedOut) {
		im.tally.carts++
	} else {
		im.tally.open[rule.Error()]++
	}
	return nil
}

// The reasons why a line is not imported, besides the rules of the cart.
var (
	errReused = errors.New("its command id was used for another command")
	errOther  = errors.New("it was imported before with another date or customer")
	errLog    = errors.New("the log cannot hold it")
)

// refused returns the rule by which a command was not carried out, nil if it was; more says
// what the rule does not. Any other error is one of the log or the context, and is returned.
func refused(err error) (rule error, more string, _ error) {
	var refusal *cart.Refusal
	var reused *aggregate.CommandIDError
	var changed *codec.ChangedError
	switch {
	case err == nil:
		return nil, "", nil
	case errors.As(err, &refusal):
		return refusal.Rule, "", nil
	case errors.As(err, &reused):
		return errReused, fmt.Sprintf(" (%q, at position %d)", reused.CommandID, reused.Receipt.First), nil
	case errors.As(err, &changed), errors.Is(err, eventstore.ErrInvalid), errors.Is(err, eventstore.ErrTooLarge):
		return errLog, ": " + err.Error(), nil
	default:
		return nil, "", err
	}
}

// sameOrder returns errOther if a line was imported before with another date or customer, which
// are in no command.
func (im *importer) sameOrder(ctx context.Context, line orderLine, receipt eventstore.Receipt) error {
	first := eventstore.ReadOptions{From: receipt.First, To: receipt.First}
	for event, err := range im.store.Read(ctx, eventstore.All(), first) {
		if err != nil {
			return err
		}
		if !event.Time.Equal(line.date) || event.Metadata.Actor() != line.actor() {
			return errOther
		}
	}
	return nil
}

// context returns a context that carries the customer, the date and the command id of the
// line.
func (l orderLine) context(ctx context.Context) context.Context {
	ctx = eventstore.WithTime(ctx, l.date)
	ctx = eventstore.WithCommandID(ctx, eventstore.DeriveCommandID(l.item.Cart, strconv.Itoa(l.line)))
	if l.customer != "" {
		ctx = eventstore.WithActor(ctx, l.actor())
	}
	return ctx
}

// actor returns the actor of the line's events; "" if the customer is not known.
func (l orderLine) actor() string {
	if l.customer == "" {
		return ""
	}
	return "customer " + l.customer
}

// line adds one line and reports whether it is in the cart.
func (im *importer) line(ctx context.Context, line orderLine) (added bool, err error) {
	outcome, err := im.dispatch(ctx, line.item)
	rule, more, err := refused(err)
	if err == nil && rule == nil && outcome.Receipt.Repeated {
		if err = im.sameOrder(ctx, line, outcome.Receipt); errors.Is(err, errOther) {
			rule, err = errOther, nil
		}
	}
	if err != nil {
		return false, err
	}
	im.mu.Lock()
	defer im.mu.Unlock()
	im.last = max(im.last, outcome.Receipt.Last)
	if rule == nil {
		im.tally.accept(outcome)
		return true, nil
	}
	im.tally.reject(rule.Error())
	if errors.Is(rule, errReused) || errors.Is(rule, errOther) || errors.Is(rule, errLog) {
		im.tally.reports.add(line.line, "rejected: "+rule.Error()+more)
	}
	return false, nil
}

// done returns the number of lines that are accepted or rejected, and that of all lines.
func (im *importer) done() (lines, of int) {
	im.mu.Lock()
	defer im.mu.Unlock()
	return im.tally.accepted + im.tally.rejected, im.tally.rows
}
