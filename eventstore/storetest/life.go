package storetest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
)

func lifeRules() []rule {
	waits := keepingRows(rule{"an append that waits when the store is closed ends with ErrClosed and is not written", waitingAtClose})
	return append(waits, []rule{
		{"Info says what a new log is", newInfo},
		{"two logs have two ids", twoIDs},
		{"a second Close returns nil", closeTwice},
		{"concurrent Closes return nil", closeAtOnce},
		{"after Close Append is ErrClosed", afterClose("Append", func(h *harness) error {
			_, err := h.try(unconditional(event("a", "x")))
			return err
		})},
		{"after Close Lookup is ErrClosed", afterClose("Lookup", func(h *harness) error {
			_, _, err := h.store.Lookup(h.ctx, "k")
			return err
		})},
		{"after Close Read is ErrClosed", afterClose("Read", func(h *harness) error {
			_, err := h.tryRead(h.ctx, eventstore.All(), everything)
			return err
		})},
		{"after Close Follow is ErrClosed", afterClose("Follow", func(h *harness) error {
			return h.follow(eventstore.All(), 0).ended()
		})},
		{"after Close Head is ErrClosed", afterClose("Head", func(h *harness) error {
			_, err := h.store.Head(h.ctx)
			return err
		})},
		{"after Close a sequence made before is ErrClosed", sequencesAfterClose},
		{"after Close Info answers", infoAfterClose},
		{"Close ends appends with success or ErrClosed", func(h *harness) { closeAmongAppends(h) }},
		{"after reopening, the log has the commits acknowledged while Close ran, and no others", acknowledgedWhileClosing},
		{"reopening shows everything acknowledged", reopenShows},
		{"reopening goes on with positions and versions", reopenGoesOn},
		{"reopening keeps the log's id and epoch", reopenInfo},
		{"reopening an empty log shows an empty log", reopenEmpty},
		{"reopening many times loses nothing", reopenOften},
		{"a second opener gets ErrLocked", secondOpener},
		{"read-only mode refuses Append with ErrReadOnly", readOnlyAppend},
		{"read-only mode reads everything", readOnlyReads},
		{"a newer format is ErrFormat", newerFormat},
	}...)
}

func newInfo(h *harness) {
	info := h.store.Info()
	if info.StoreID == uuid.Nil {
		h.Errorf("StoreID: expected an id, found the zero UUID")
	}
	h.equal("Epoch of a new log", uint64(1), info.Epoch)
	h.write(event("a", "x"))
	h.equal("Info after a commit", info, h.store.Info())
}

func twoIDs(h *harness) {
	other := h.adopt(h.cfg.Open(h))
	if id := h.store.Info().StoreID; id == other.Info().StoreID {
		h.Fatalf("StoreID of two logs: expected two, found %v twice", id)
	}
	h.write(event("a", "x"))
	h.store = other
	h.sameEvents("the other log", nil, h.all())
}

func closeTwice(h *harness) {
	h.write(event("a", "x"))
	h.closeStore()
	h.closeStore()
}

func closeAtOnce(h *harness) {
	h.write(event("a", "x"))
	h.closed[h.store] = true
	h.parallel(4, func(int) error { return h.store.Close() })
}

// afterClose is the rule that a call returns ErrClosed after Close.
func afterClose(what string, call func(*harness) error) func(*harness) {
	return func(h *harness) {
		c := unconditional(event("a", "x"))
		c.Key = "k"
		h.append(c)
		h.closeStore()
		h.step("%s after Close", what)
		for range 2 {
			h.matches(what+" after Close", call(h), eventstore.ErrClosed)
		}
	}
}

func sequencesAfterClose(h *harness) {
	h.write(event("a", "x"))
	read := h.store.Read(h.ctx, eventstore.All(), everything)
	follow := h.follow(eventstore.All(), 0)
	h.closeStore()
	events, err := h.collect(read)
	h.matches("Read made before Close", err, eventstore.ErrClosed)
	h.sameEvents("Read made before Close", nil, events)
	h.matches("Follow made before Close", follow.ended(), eventstore.ErrClosed)
}

func infoAfterClose(h *harness) {
	before := h.store.Info()
	h.closeStore()
	h.step("Info after Close")
	h.equal("Info after Close", before, h.store.Info())
}

// closeAmongAppends closes the store during concurrent appends of two events each,
// and returns the receipts of those that succeeded.
func closeAmongAppends(h *harness) []eventstore.Receipt {
	var mu sync.Mutex
	var acknowledged []eventstore.Receipt
	h.closed[h.store] = true
	h.parallel(5, func(i int) error {
		for n := range 20 {
			if i == 0 {
				if n == 3 {
					return h.store.Close()
				}
				continue
			}
			receipt, err := h.try(unconditional(event("a", "x"), event("b", "x")))
			if errors.Is(err, eventstore.ErrClosed) {
				return nil
			} else if err != nil {
				return err
			}
			mu.Lock()
			acknowledged = append(acknowledged, receipt)
			mu.Unlock()
		}
		return nil
	})
	return acknowledged
}

func acknowledgedWhileClosing(h *harness) {
	acknowledged := closeAmongAppends(h)
	h.reopen()
	log := make(map[eventstore.Position]bool)
	for _, e := range h.all() {
		log[e.Position] = true
	}
	for _, receipt := range acknowledged {
		if !log[receipt.First] || !log[receipt.Last] {
			h.Fatalf("an append acknowledged at positions %d to %d is not in the log after reopening", receipt.First, receipt.Last)
		}
	}
	h.equal("events in the log after reopening", 2*len(acknowledged), len(log))
}

// waitingAtClose holds the writer of the store in the Apply of an inline view, lets other
// appends wait behind it, and closes the store. Only the append that the store has begun to
// write is in the log.
func waitingAtClose(h *harness) {
	begun, release := make(chan struct{}), make(chan struct{})
	v := ledger("v", byType("begun"))
	apply := v.Apply
	v.Timeout = time.Minute
	v.Apply = func(ctx context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
		close(begun)
		select {
		case <-release:
		case <-h.ctx.Done():
		}
		return apply(ctx, tx, events)
	}
	h.attach(v)
	h.step("Append, Append that waits, and Close")
	store := h.store
	first := h.beside(event("a", "begun"))
	<-begun
	var waiting []<-chan error
	for range 4 {
		waiting = append(waiting, h.beside(event("a", "waited")))
	}
	time.Sleep(moment)
	h.closed[store] = true
	closing := make(chan error, 1)
	go func() { closing <- store.Close() }()
	for _, err := store.Head(h.ctx); err == nil; _, err = store.Head(h.ctx) {
		time.Sleep(time.Millisecond)
	}
	close(release)
	if err := <-first; err != nil {
		h.Fatalf("the append that the store had begun to write: expected success, found %v", err)
	}
	for _, result := range waiting {
		h.matches("an append that waited when the store was closed", <-result, eventstore.ErrClosed)
	}
	if err := <-closing; err != nil {
		h.Fatalf("Close: expected no error, found %v", err)
	}
	h.reopen()
	log := h.all()
	h.equal("events in the log after reopening", 1, len(log))
	h.equal("its type", "begun", log[0].Type)
}

// beside appends an event on a goroutine of its own, and returns a channel for the error.
func (h *harness) beside(e eventstore.NewEvent) <-chan error {
	result := make(chan error, 1)
	store := h.store
	go func() {
		_, err := store.Append(h.ctx, unconditional(e))
		result <- err
	}()
	return result
}

func reopenShows(h *harness) {
	c := unconditional(rich(), event("", "y"), event("b-1", "z", "t2"))
	c.Key = "k"
	first := h.append(c)
	log := append(h.all(), library(h)...)
	head := h.head()
	h.reopen()
	h.equal("head", head, h.head())
	h.sameEvents("the log", log, h.all())
	h.sameEvents("backward", reversed(log), h.read(eventstore.All(), eventstore.ReadOptions{Backward: true}))
	for _, q := range []eventstore.Query{
		eventstore.Stream("cart-1"), eventstore.Category("cart"), byType("added"), byTag("t2"), byTag("sku:1", "customer:1"),
	} {
		h.selected(q, matching(q, log))
	}
	receipt, _ := h.lookup("k")
	h.sameReceipt("Lookup", first, receipt)
	h.conflicts(expecting(eventstore.At(1), event("cart-1", "x")))
}

func reopenGoesOn(h *harness) {
	h.write(event("a", "x"), event("b", "x"), event("a", "x"))
	head := h.head()
	h.reopen()
	receipt := h.append(expecting(eventstore.At(2), event("a", "x")))
	if receipt.First <= head || (h.store.Info().Gapless && receipt.First != head+1) {
		h.Fatalf("position after reopening: expected %d, found %d", head+1, receipt.First)
	}
	h.equal("heads", []eventstore.StreamHead{{Stream: "a", Version: 3}}, receipt.Heads)
	h.equal("versions", []eventstore.Version{1, 2, 3}, versionsOf(h.read(eventstore.Stream("a"), everything)))
}

func reopenInfo(h *harness) {
	h.write(event("a", "x"))
	before := h.store.Info()
	h.reopen()
	h.equal("Info after reopening", before, h.store.Info())
}

func reopenEmpty(h *harness) {
	h.reopen()
	h.equal("head", eventstore.Position(0), h.head())
	h.sameEvents("the log", nil, h.all())
	h.append(expecting(eventstore.NoStream, event("a", "x")))
}

func reopenOften(h *harness) {
	var log []eventstore.Event
	for n := range 8 {
		log = append(log, h.seed(event("a", "x", "t"), event("b", "x"))...)
		h.conflicts(expecting(eventstore.At(eventstore.Version(n)), event("a", "x")))
		h.reopen()
		h.sameEvents("the log", log, h.all())
		h.sameEvents("by tag", matching(byTag("t"), log), h.read(byTag("t"), everything))
	}
}

func secondOpener(h *harness) {
	if h.cfg.OpenSecond == nil {
		h.Skip("a log of this store may have more than one opener (Config.OpenSecond is nil)")
	}
	h.write(event("a", "x"))
	h.step("opening the log a second time")
	second, err := h.cfg.OpenSecond(h, h.store)
	if err == nil {
		h.adopt(second)
	}
	h.matches("a second opener", err, eventstore.ErrLocked)
	h.write(event("a", "x"))
	h.equal("events of the first opener", 2, len(h.all()))
}

// reopenReadOnly closes the store and opens its log for reading only.
func (h *harness) reopenReadOnly() {
	h.Helper()
	if h.cfg.OpenReadOnly == nil {
		h.Skip("the store has no read-only mode (Config.OpenReadOnly is nil)")
	}
	h.closeStore()
	h.step("opening the log for reading only")
	h.store = h.adopt(h.cfg.OpenReadOnly(h, h.store))
}

func readOnlyAppend(h *harness) {
	c := expecting(eventstore.NoStream, event("a", "x"))
	c.Key = "k"
	h.append(c)
	h.reopenReadOnly()
	h.fails(unconditional(event("a", "x")), eventstore.ErrReadOnly)
	h.fails(expecting(eventstore.At(9), event("a", "x")), eventstore.ErrReadOnly)
}

func readOnlyReads(h *harness) {
	c := unconditional(rich(), event("b", "x"))
	c.Key = "k"
	first := h.append(c)
	log := h.all()
	h.reopenReadOnly()
	h.equal("head", first.Last, h.head())
	h.sameEvents("the log", log, h.all())
	h.sameEvents("by tag", log[:1], h.read(byTag("t1"), everything))
	h.sameEvents("by Follow", log, h.follow(eventstore.All(), 0).reach(first.Last))
	receipt, _ := h.lookup("k")
	h.sameReceipt("Lookup", first, receipt)
	h.closeStore()
}

func newerFormat(h *harness) {
	if h.cfg.OpenNewer == nil {
		h.Skip("the store has no format of its own (Config.OpenNewer is nil)")
	}
	h.step("opening a log of a newer format")
	s, err := h.cfg.OpenNewer(h)
	if err == nil {
		h.adopt(s)
	}
	h.matches("opening a log of a newer format", err, eventstore.ErrFormat)
}
