package storetest

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/yore-es/yore/eventstore"
)

func scanRules() []rule {
	return keepingRows([]rule{
		{"rows come in the order of their keys, however they were put", scanOrder},
		{"From is inclusive, To is not", scanBounds},
		{"backward is the same rows from the highest key down", scanBackward},
		{"To before From yields nothing", scanNothing},
		{"bounds may be longer than any key", scanLongBounds},
		{"Limit bounds the number of rows, in both directions", scanLimit},
		{"PrefixScan yields the keys with the prefix, 0xff or not", scanPrefix},
		{"a scan without rows yields one page with the checkpoint", scanEmpty},
		{"pages together are the whole, each with the checkpoint", scanPages},
		{"a page begins with the very next key", scanNextKeys},
		{"rows that are deleted between pages are not shown, those after them are", scanDeletes},
		{"a scan is no snapshot: rows put beyond the page are shown", scanLive},
		{"break leaves nothing open", scanBreak},
		{"a sequence can be ranged over again", scanAgain},
		{"append and commit inside the loop work", scanWrites},
		{"a context that ends in the loop ends it with its error", scanContextEnds},
		{"Close in the loop ends it with ErrClosed", scanCloseInBody},
		{"a negative Limit is refused", scanNegativeLimit},
	}...)
}

// manyRows is how many rows the table of the rules about pages has. A page of any
// store is expected to have fewer. They are put out of order.
const manyRows = 600

// fill puts manyRows rows into view "v", with values of a size in bytes, and returns
// them in order.
func (h *harness) fill(size int) []eventstore.Row {
	h.Helper()
	rows := make([]eventstore.Row, manyRows)
	for i := range rows {
		rows[i] = row("t", fmt.Sprintf("%05d", i*7), string(pattern(size)))
	}
	shuffled := make([]eventstore.Row, manyRows)
	for i := range rows {
		shuffled[i*7%manyRows] = rows[i]
	}
	for part := range slices.Chunk(shuffled, min(200, h.store.Info().Limits.RowsPerCommit)) {
		h.put("v", part...)
	}
	return rows
}

// within returns the rows that a scan must yield, out of rows in order.
func within(rows []eventstore.Row, scan eventstore.RowScan) []eventstore.Row {
	var found []eventstore.Row
	for _, r := range rows {
		if bytes.Compare(r.Key, scan.From) >= 0 && (len(scan.To) == 0 || bytes.Compare(r.Key, scan.To) < 0) {
			found = append(found, r)
		}
	}
	if scan.Backward {
		slices.Reverse(found)
	}
	if scan.Limit > 0 && len(found) > scan.Limit {
		found = found[:scan.Limit]
	}
	return found
}

// scans holds that the scan yields the right ones of rows.
func (h *harness) scans(rows []eventstore.Row, scan eventstore.RowScan) {
	h.Helper()
	what := fmt.Sprintf("scan from %q to %q, backward %v, limit %d", scan.From, scan.To, scan.Backward, scan.Limit)
	h.sameRows(what, within(rows, scan), h.scan("v", scan))
}

// closeKeys returns keys that a store could confuse, in order.
func closeKeys(h *harness) []eventstore.Row {
	var rows []eventstore.Row
	for _, key := range []string{"\x00", "\x00\x00", "\x01", "a", "a\x00", "a\x00\x00", "a\x01", "aa", "ab", "a\xff", "a\xff\xff", "b", "\xff", "\xff\x00", "\xff\xff"} {
		rows = append(rows, row("t", key, key))
	}
	backward := slices.Clone(rows)
	slices.Reverse(backward)
	h.put("v", row("s", "a", "before"), row("t\x01", "a", "after"), row("tt", "a", "after"), row("u", "a", "after"))
	h.put("v", backward...)
	return rows
}

func scanOrder(h *harness) {
	rows := closeKeys(h)
	h.scans(rows, eventstore.RowScan{Table: "t"})
	h.dropAll("v", 100)
	h.scans(h.fill(10), eventstore.RowScan{Table: "t"})
}

func scanBounds(h *harness) {
	rows := closeKeys(h)
	for _, from := range rows {
		h.scans(rows, eventstore.RowScan{Table: "t", From: from.Key})
		h.scans(rows, eventstore.RowScan{Table: "t", To: from.Key})
		for _, to := range rows {
			h.scans(rows, eventstore.RowScan{Table: "t", From: from.Key, To: to.Key})
		}
	}
	h.scans(rows, eventstore.RowScan{Table: "t", From: []byte("a\x00\x01"), To: []byte("aaa")})
}

func scanBackward(h *harness) {
	rows := closeKeys(h)
	h.scans(rows, eventstore.RowScan{Table: "t", Backward: true})
	for _, from := range rows {
		h.scans(rows, eventstore.RowScan{Table: "t", From: from.Key, Backward: true})
		h.scans(rows, eventstore.RowScan{Table: "t", To: from.Key, Backward: true})
		for _, to := range rows {
			h.scans(rows, eventstore.RowScan{Table: "t", From: from.Key, To: to.Key, Backward: true})
		}
	}
	h.scans(rows, eventstore.RowScan{Table: "t", From: []byte("a\x00\x01"), To: []byte("aaa"), Backward: true})
	h.dropAll("v", 100)
	h.scans(h.fill(10), eventstore.RowScan{Table: "t", Backward: true})
}

func scanNothing(h *harness) {
	closeKeys(h)
	for _, backward := range []bool{false, true} {
		for _, bounds := range [][2]string{{"b", "a"}, {"a", "a"}, {"\xff\xff\xff", ""}, {"", "\x00"}, {"aab", "aac"}} {
			scan := eventstore.RowScan{Table: "t", From: []byte(bounds[0]), To: []byte(bounds[1]), Backward: backward, Limit: 3}
			h.sameRows(fmt.Sprintf("scan from %q to %q", bounds[0], bounds[1]), nil, h.scan("v", scan))
		}
	}
}

func scanLongBounds(h *harness) {
	limit := h.store.Info().Limits.RowKeyBytes
	first, last := bytes.Repeat([]byte{'a'}, limit), bytes.Repeat([]byte{'b'}, limit)
	h.put("v", row("t", string(first), "1"), row("t", string(last), "2"))
	rows := []eventstore.Row{row("t", string(first), "1"), row("t", string(last), "2")}
	h.scans(rows, eventstore.RowScan{Table: "t", From: append(bytes.Clone(first), 0)})
	h.scans(rows, eventstore.RowScan{Table: "t", To: append(bytes.Clone(last), 0), Backward: true})
}

func scanLimit(h *harness) {
	rows := h.fill(10)
	for _, limit := range []int{1, 2, 256, 257, 500, manyRows - 1, manyRows, manyRows + 1} {
		h.scans(rows, eventstore.RowScan{Table: "t", Limit: limit})
		h.scans(rows, eventstore.RowScan{Table: "t", Limit: limit, Backward: true})
		h.scans(rows, eventstore.RowScan{Table: "t", Limit: limit, From: rows[100].Key, To: rows[500].Key})
	}
}

func scanPrefix(h *harness) {
	rows := closeKeys(h)
	for _, prefix := range []string{"", "\x00", "a", "a\x00", "a\xff", "a\xff\xff", "a\xff\xff\xff", "b", "c", "\xff", "\xff\xff", "\xff\xff\xff"} {
		for _, backward := range []bool{false, true} {
			scan := eventstore.PrefixScan("t", []byte(prefix))
			scan.Backward = backward
			var expected []eventstore.Row
			for _, r := range within(rows, eventstore.RowScan{Backward: backward}) {
				if bytes.HasPrefix(r.Key, []byte(prefix)) {
					expected = append(expected, r)
				}
			}
			h.sameRows(fmt.Sprintf("prefix %q, backward %v", prefix, backward), expected, h.scan("v", scan))
		}
	}
}

func scanEmpty(h *harness) {
	h.put("v", row("t", "k", "x"))
	was := h.checkpoint("v")
	for _, scan := range []eventstore.RowScan{{Table: "u"}, {Table: "t", From: []byte("l")}, {Table: "t", To: []byte("k"), Backward: true}} {
		pages, err := h.tryScan("v", scan)
		if err != nil || len(pages) != 1 || len(pages[0].Rows) > 0 {
			h.Fatalf("a scan without rows, %+v: expected one empty page, found %d pages (%v)", scan, len(pages), err)
		}
		h.sameCheckpoint("checkpoint of the empty page", was, pages[0].Checkpoint)
	}
}

func scanPages(h *harness) {
	rows := h.fill(min(3_000, h.store.Info().Limits.RowValueBytes))
	was := h.checkpoint("v")
	for _, backward := range []bool{false, true} {
		pages, err := h.tryScan("v", eventstore.RowScan{Table: "t", Backward: backward})
		if err != nil {
			h.Fatalf("ScanRows: expected no error, found %v", err)
		}
		var found []eventstore.Row
		for _, page := range pages {
			h.sameCheckpoint("checkpoint of a page", was, page.Checkpoint)
			found = append(found, page.Rows...)
		}
		h.sameRows("all pages", within(rows, eventstore.RowScan{Backward: backward}), found)
		if len(pages) < 2 {
			h.Fatalf("a scan of %d rows, 1.8 MB of values: expected pages, found one", manyRows)
		}
	}
}

// scanNextKeys has keys that each are the one before and a NUL, so that no key lies between
// them, wherever a page ends.
func scanNextKeys(h *harness) {
	var rows []eventstore.Row
	for i := range min(600, h.store.Info().Limits.RowKeyBytes) {
		rows = append(rows, row("t", "k"+strings.Repeat("\x00", i), "x"))
	}
	h.put("v", rows...)
	for _, backward := range []bool{false, true} {
		scan := eventstore.RowScan{Table: "t", Backward: backward}
		h.sameRows("rows", within(rows, scan), h.scan("v", scan))
	}
}

// inTheLoop scans and calls do after the first page. It returns the rows of the
// later pages.
func (h *harness) inTheLoop(scan eventstore.RowScan, do func(first []eventstore.Row)) (later []eventstore.Row) {
	h.Helper()
	h.step("ScanRows of view %q with %+v", "v", scan)
	pages := 0
	for page, err := range h.rows().ScanRows(h.ctx, "v", scan) {
		if err != nil {
			h.Fatalf("ScanRows: expected no error, found %v", err)
		}
		if pages++; pages == 1 {
			do(page.Rows)
			continue
		}
		later = append(later, page.Rows...)
	}
	return later
}

func scanDeletes(h *harness) {
	rows := h.fill(400)
	for _, backward := range []bool{false, true} {
		rows := within(rows, eventstore.RowScan{Backward: backward})
		var rest []eventstore.Row
		later := h.inTheLoop(eventstore.RowScan{Table: "t", Backward: backward}, func(first []eventstore.Row) {
			h.sameRows("the first page", rows[:len(first)], first)
			rest = rows[len(first):]
			if len(rest) < 3 {
				return
			}
			h.put("v", deleted("t", string(first[len(first)-1].Key)), deleted("t", string(rest[0].Key)), deleted("t", string(rest[2].Key)))
			rest = append([]eventstore.Row{rest[1]}, rest[3:]...)
		})
		h.sameRows("the later pages", rest, later)
		for part := range slices.Chunk(rows, 200) {
			h.put("v", part...)
		}
	}
}

func scanLive(h *harness) {
	rows := h.fill(400)
	var rest []eventstore.Row
	later := h.inTheLoop(eventstore.RowScan{Table: "t"}, func(first []eventstore.Row) {
		rest = slices.Clone(rows[len(first):])
		if len(rest) == 0 {
			return
		}
		last := row("t", string(rest[len(rest)-1].Key), "changed")
		beyond := row("t", string(last.Key)+"+", "new")
		h.put("v", last, beyond, row("t", "!", "passed already"))
		rest = append(append(rest[:len(rest)-1], last), beyond)
	})
	h.sameRows("the later pages", rest, later)
}

func scanBreak(h *harness) {
	rows := h.fill(10)
	for range 20 {
		for _, err := range h.rows().ScanRows(h.ctx, "v", eventstore.RowScan{Table: "t"}) {
			if err != nil {
				h.Fatalf("ScanRows: expected no error, found %v", err)
			}
			break
		}
	}
	h.put("v", row("t", "zzz", "x"))
	h.scans(append(rows, row("t", "zzz", "x")), eventstore.RowScan{Table: "t"})
}

func scanAgain(h *harness) {
	rows := h.fill(10)
	seq := h.rows().ScanRows(h.ctx, "v", eventstore.RowScan{Table: "t", Limit: 400})
	for _, err := range seq {
		if err != nil {
			h.Fatalf("ScanRows: expected no error, found %v", err)
		}
		break
	}
	for range 2 {
		pages, err := h.collectPages(seq)
		if err != nil {
			h.Fatalf("ranging over a scan again: expected no error, found %v", err)
		}
		var found []eventstore.Row
		for _, page := range pages {
			found = append(found, page.Rows...)
		}
		h.sameRows("ranging over a scan again", rows[:400], found)
	}
}

func scanWrites(h *harness) {
	rows := h.fill(400)
	pages := 0
	for page, err := range h.rows().ScanRows(h.ctx, "v", eventstore.RowScan{Table: "t"}) {
		if err != nil {
			h.Fatalf("ScanRows: expected no error, found %v", err)
		}
		pages++
		h.write(event("a", "x"))
		h.put("v", row("u", fmt.Sprint(pages), "x"))
		h.put("w", row("t", "k", "x"))
		h.sameRows("a row of the page", page.Rows[:1], h.get("v", page.Rows[0].RowKey).Rows)
	}
	h.scans(rows, eventstore.RowScan{Table: "t"})
	h.equal("events appended in the loop", pages, len(h.all()))
	h.equal("rows put in the loop", pages, len(h.scan("v", eventstore.RowScan{Table: "u"})))
}

// endsInTheLoop scans, calls do after the first page, and returns the error that the
// scan must end with.
func (h *harness) endsInTheLoop(ctx context.Context, do func()) (end error) {
	h.fill(min(3_000, h.store.Info().Limits.RowValueBytes))
	h.step("ScanRows")
	pages := 0
	for _, err := range h.rows().ScanRows(ctx, "v", eventstore.RowScan{Table: "t"}) {
		if pages++; pages == 1 {
			do()
		}
		end = err
	}
	return end
}

func scanContextEnds(h *harness) {
	ctx, cancel := context.WithCancel(h.ctx)
	defer cancel()
	h.matches("a scan after its context ended", h.endsInTheLoop(ctx, cancel), context.Canceled)
}

func scanCloseInBody(h *harness) {
	h.matches("a scan after Close", h.endsInTheLoop(h.ctx, h.closeStore), eventstore.ErrClosed)
}

func scanNegativeLimit(h *harness) {
	h.put("v", row("t", "k", "x"))
	for _, limit := range []int{-1, math.MinInt} {
		_, err := h.tryScan("v", eventstore.RowScan{Table: "t", Limit: limit})
		h.matches("ScanRows with a negative Limit", err, eventstore.ErrInvalid)
	}
}
