package main

import "regexp"

// row is a row of the table.
type row struct {
	name string
	unit string // of value and baseline
	what string // what is measured, over which baseline
	must bound
	run  func(*bench) (sample, error)
}

// bound is the limit that a row must keep.
type bound struct {
	limit   float64
	atMost  bool // an upper limit
	ofValue bool // of the value, not of the ratio
}

func atLeast(ratio float64) bound     { return bound{limit: ratio} }
func atMost(ratio float64) bound      { return bound{limit: ratio, atMost: true} }
func valueAtMost(limit float64) bound { return bound{limit: limit, atMost: true, ofValue: true} }

// holds reports whether the sample keeps the bound.
func (b bound) holds(s sample) bool {
	figure := s.ratio()
	if b.ofValue {
		figure = s.value
	}
	if b.atMost {
		return figure <= b.limit
	}
	return figure >= b.limit
}

// rows is the table, in order.
var rows = []row{
	{"append/w1", "events/s", "1 writer in closed loop ÷ floor(1)", atLeast(0.85), appends(1, 1)},
	{"append/w16", "events/s", "16 writers ÷ floor(16)", atLeast(0.75), appends(16, 1)},
	{"append/w64", "events/s", "64 writers ÷ floor(64)", atLeast(0.6), appends(64, 1)},
	{"append/w256", "events/s", "256 writers ÷ floor(256)", atLeast(0.5), appends(256, 1)},
	{"append/w2048", "events/s", "2048 writers ÷ floor(2048)", atLeast(0.45), appends(2048, 1)},
	{"append/w256-vs-one-tx", "events/s", "256 writers ÷ one transaction for each append", atLeast(50), appendsVersusOneTx},
	{"append/w256x10", "events/s", "256 writers, 10 events an append ÷ floor(2560)", atLeast(0.7), appends(256, 10)},
	{"append/bulk", "events/s", "1 writer, 1000 events an append ÷ floor(1000)", atLeast(0.8), appends(1, 1000)},
	{"append/p99", "ms", "256 writers while the index is flushed: p99 ÷ p50 of an append", atMost(5), appendStalls},
	{"guard/tags", "events/s", "256 writers, guarded by a type and 2 tags after the head ÷ append/w256", atLeast(0.8), guarded(0)},
	{"guard/tags-100k", "events/s", "the same after 100,000 events back ÷ append/w256", atLeast(0.5), guarded(100_000)},
	{"growth", "floors", "256 writers, 4 events an append, 1M streams: share of floor(1024) at the end ÷ at the start", atLeast(0.7), growth},
	{"load", "streams/s", "streams of 100 events at random ÷ bbolt Get with a copy", atLeast(0.6), loadStreams},
	{"scan", "events/s", "Read of all ÷ cursor walk with copy and CRC32C", atLeast(0.5), scanWarm},
	{"scan/cold", "MB/s", "Read of all, not in the page cache ÷ pread of the file in 1 MiB pieces", atLeast(0.4), scanCold},
	{"query/tags", "queries/s", "a type and 2 tags, 100 hits ÷ bbolt Get with a copy", atLeast(0.3), queryTags},
	{"follow/live", "ms", "Append's return to delivery, p99 ÷ p50 of an append", atMost(0.5), followLive},
	{"follow/fanout", "events/s", "deliveries of a burst to 1000 followers ÷ to one", atLeast(8), followFanout},
	{"view/inline", "events/s", "append/w256 with an inline view of 10,000 keys ÷ without", atLeast(0.5), viewInline},
	{"view/async", "events/s", "a projection of 10,000 keys ÷ Read of all", atLeast(0.2), viewAsync},
	{"open", "ms", "Open after a clean close ÷ bbolt.Open and a sync", atMost(10), openClean},
	{"memory", "MiB", "peak heap of the growth run", valueAtMost(96), memory},
	{"size", "B/event", "pages in use after the growth run; the baseline is the floor's file", valueAtMost(450), size},
}

// selected returns the rows with a matching name.
func selected(only *regexp.Regexp) []row {
	var chosen []row
	for _, r := range rows {
		if only.MatchString(r.name) {
			chosen = append(chosen, r)
		}
	}
	return chosen
}
