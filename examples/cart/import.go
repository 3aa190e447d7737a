package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"sync"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/examples/cart/cart"
)

// importWorkers is the number of invoices that are imported concurrently. The store makes
// concurrent appends durable with one sync, so more workers raise the throughput.
const importWorkers = 128

var importSubcommand = subcommand{
	name: "import", synopsis: "FILE.csv", min: 1, max: 1,
	summary: "fill carts from an order book in the Online Retail format",
	about: `
FILE.csv begins with the line
  InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
Each invoice is a cart and each of its lines adds an item; after its last line the
cart is checked out, unless nothing was added. Invoice date and customer become
metadata of the events.

Lines that the rules of the cart refuse are counted with their reason. Malformed lines
are reported with their number. Neither stops the import.

The command id of a line is INVOICE/LINE, with its line number in the file, and that
of a checkout INVOICE/checkout. So an import can be repeated, also one that was
killed: a command that was carried out is not carried out again, and counts as
accepted.

The last two lines of the output are
  rows N accepted N rejected N carts N pieces N revenue N.NNN
  repeated N
where carts are those checked out, pieces and revenue are those of the accepted lines,
and repeated is the number of accepted lines that an earlier import had added. When
they are printed, list and top include the import. The file may have up to 1 GiB and
is read into memory.`,
	setup: func(*flag.FlagSet) action {
		return func(ctx context.Context, e *environment, args []string) error {
			return importFile(ctx, e, args[0])
		}
	},
}

func importFile(ctx context.Context, e *environment, path string) error {
	book, err := readOrderBook(path)
	if err != nil {
		return err
	}
	errs := &printer{w: e.stderr}
	for _, m := range book.malformed {
		errs.printf("%s:%d: malformed: %s\n", path, m.line, m.reason)
	}
	return withShop(ctx, e, func(s *shop) error {
		wait, stop := s.runRanking(ctx)
		defer stop()
		im := newImporter(s.dispatch, book)
		stopProgress := showProgress(e.stderr, im)
		err := im.run(ctx, book.invoices)
		stopProgress()
		t := im.counted()
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
	dispatch func(context.Context, cart.Command) (cart.State, eventstore.Receipt, error)

	mu    sync.Mutex // guards the fields below; not held while a command runs
	tally tally
	last  eventstore.Position // of the events that the commands made
}

func newImporter(
	dispatch func(context.Context, cart.Command) (cart.State, eventstore.Receipt, error), book *orderBook,
) *importer {
	im := &importer{dispatch: dispatch, tally: tally{rows: book.rows, reasons: make(map[string]int)}}
	if n := len(book.malformed); n > 0 {
		im.tally.rejected = n
		im.tally.reasons["malformed"] = n
	}
	return im
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
	return im.checkout(eventstore.WithCommandID(last.context(ctx), order.number+"/checkout"), order.number)
}

// checkout checks the cart out. A cart that another program has checked out or emptied
// since an earlier import is no error.
func (im *importer) checkout(ctx context.Context, id string) error {
	_, receipt, err := im.dispatch(ctx, cart.Checkout{Cart: id})
	var refusal *cart.Refusal
	if err != nil && !errors.As(err, &refusal) {
		return fmt.Errorf("check out invoice %s: %w", id, err)
	}
	im.mu.Lock()
	defer im.mu.Unlock()
	im.last = max(im.last, receipt.Last)
	if err == nil || errors.Is(err, cart.ErrCheckedOut) {
		im.tally.carts++
	} else {
		im.tally.open++
	}
	return nil
}

// context returns a context that carries the customer, the date and the command id of the
// line.
func (l orderLine) context(ctx context.Context) context.Context {
	ctx = eventstore.WithTime(ctx, l.date)
	ctx = eventstore.WithCommandID(ctx, fmt.Sprintf("%s/%d", l.item.Cart, l.line))
	if l.customer != "" {
		ctx = eventstore.WithActor(ctx, "customer "+l.customer)
	}
	return ctx
}

// line adds one line and reports whether the rules accepted it.
func (im *importer) line(ctx context.Context, line orderLine) (added bool, err error) {
	_, receipt, err := im.dispatch(ctx, line.item)
	var refusal *cart.Refusal
	if err != nil && !errors.As(err, &refusal) {
		return false, err
	}
	im.mu.Lock()
	defer im.mu.Unlock()
	im.last = max(im.last, receipt.Last)
	if refusal != nil {
		im.tally.rejected++
		im.tally.reasons[refusal.Rule.Error()]++
		return false, nil
	}
	return true, im.tally.accept(line.item, receipt.Repeated)
}

// counted returns a copy of the tally.
func (im *importer) counted() tally {
	im.mu.Lock()
	defer im.mu.Unlock()
	counted := im.tally
	counted.reasons = maps.Clone(counted.reasons)
	return counted
}
