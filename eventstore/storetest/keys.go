package storetest

import (
	"bytes"
	"sync"

	"github.com/yore-es/yore/eventstore"
)

func keyRules() []rule {
	return []rule{
		{"the same key again returns the first receipt and writes nothing", sameKey},
		{"the same key again after other writes returns the heads of the first time", sameKeyLater},
		{"the same key again after reopening returns the first receipt", sameKeyReopened},
		{"the same key again with other content returns the first receipt", sameKeyOtherContent},
		{"the same key again when its expectation would now fail is a repeat", sameKeyExpectation},
		{"the same key again when its guard would now fail is a repeat", sameKeyGuard},
		{"a key is one for the whole store", keyStoreWide},
		{"keys are compared byte for byte", keyBytes},
		{"another key with the same content is another commit", otherKey},
		{"exactly one of many concurrent commits with the same key is written", oneOfKey},
		{"a key is free after a failed commit", keyFreeAfterFailure},
		{"a digest comes back in every receipt and is not compared", func(h *harness) { digestComesBack(h, func() {}) }},
		{"a digest comes back in every receipt after reopening", func(h *harness) { digestComesBack(h, h.reopen) }},
		{"a digest without a key, or with more than 32 bytes, is refused", digestInvalid},
		{"Lookup returns the first receipt", lookupFinds},
		{"Lookup of an unknown key finds nothing and is no error", lookupUnknown},
		{"Lookup finds keys after reopening", lookupReopened},
		{"Lookup of an invalid key is refused", lookupInvalid},
	}
}

// keyed is a commit with a key and content of two streams.
func keyed(key string) eventstore.Commit {
	c := unconditional(event("a", "x"), event("b", "x"), event("", "x"), event("a", "x"))
	c.Key = key
	return c
}

func sameKey(h *harness) {
	first := h.append(keyed("k"))
	h.repeats(keyed("k"), first)
	h.repeats(keyed("k"), first)
	h.equal("number of events", 4, len(h.all()))
}

func sameKeyLater(h *harness) {
	h.write(event("a", "x"))
	first := h.append(keyed("k"))
	h.equal("heads", []eventstore.StreamHead{{Stream: "a", Version: 3}, {Stream: "b", Version: 1}}, first.Heads)
	h.write(event("b", "y"), event("a", "y"), event("c", "y"))
	h.append(keyed("other"))
	h.repeats(keyed("k"), first)
}

func sameKeyReopened(h *harness) {
	first := h.append(keyed("k"))
	h.write(event("a", "y"))
	h.reopen()
	h.repeats(keyed("k"), first)
}

func sameKeyOtherContent(h *harness) {
	first := h.append(keyed("k"))
	other := unconditional(event("c", "other"))
	other.Key = "k"
	h.repeats(other, first)
	h.sameEvents("the other stream", nil, h.read(eventstore.Stream("c"), everything))
}

func sameKeyExpectation(h *harness) {
	c := expecting(eventstore.NoStream, event("a", "x"))
	c.Key = "k"
	first := h.append(c)
	h.repeats(c, first)
	c.Expect[0].At = eventstore.At(9)
	h.repeats(c, first)
	c.Expect = append(c.Expect, eventstore.Expect{Stream: "b", At: eventstore.Exists})
	h.repeats(c, first)
}

func sameKeyGuard(h *harness) {
	c := guarded(eventstore.Guard{Query: eventstore.All()})
	c.Key = "k"
	first := h.append(c)
	h.write(event("a", "x"))
	h.repeats(c, first)
}

func keyStoreWide(h *harness) {
	c := unconditional(event("a", "x"))
	c.Key = "k"
	first := h.append(c)
	c = unconditional(event("b", "x"))
	c.Key = "k"
	h.repeats(c, first)
	c = unconditional(event("", "x"))
	c.Key = "k"
	h.repeats(c, first)
}

func keyBytes(h *harness) {
	for _, key := range []string{"k", "K", "k ", " k", "k1", "\u00e9", "e\u0301", "k/1", "k\x01"} {
		h.append(keyed(key))
	}
	// The text of a key in use, in places where it is not a key.
	h.write(event("k2", "k2", "k2"))
	h.append(keyed("k2"))
}

func otherKey(h *harness) {
	h.append(keyed("k1"))
	h.append(keyed("k2"))
	h.append(keyed(""))
	h.append(keyed(""))
	h.equal("number of events", 16, len(h.all()))
}

// digestComesBack looks for digests before and after between.
func digestComesBack(h *harness, between func()) {
	digest := []byte{0, 1, 0xff}
	c := keyed("k")
	c.Digest = digest
	first := h.append(c)
	h.equal("digest of the first receipt", []byte{0, 1, 0xff}, first.Digest)
	digest[0] = 9 // the caller's slice is the caller's again
	first.Digest = []byte{0, 1, 0xff}
	other := keyed("k")
	other.Digest = bytes.Repeat([]byte{7}, 32)
	plain := h.append(keyed("plain"))
	h.equal("digest of a commit without one", []byte(nil), plain.Digest)
	for range 2 {
		h.repeats(c, first)
		h.repeats(other, first)
		h.repeats(keyed("k"), first)
		h.repeats(keyed("plain"), plain)
		for key, want := range map[string]eventstore.Receipt{"k": first, "plain": plain} {
			receipt, _ := h.lookup(key)
			h.sameReceipt("Lookup", want, receipt)
		}
		between()
	}
}

func digestInvalid(h *harness) {
	c := keyed("")
	c.Digest = []byte{1}
	h.fails(c, eventstore.ErrInvalid)
	c = keyed("k")
	c.Digest = make([]byte, 33)
	h.fails(c, eventstore.ErrTooLarge)
	c.Digest = c.Digest[:32]
	h.equal("bytes of the largest digest", 32, len(h.append(c).Digest))
}

func oneOfKey(h *harness) {
	var mu sync.Mutex
	var receipts []eventstore.Receipt
	h.parallel(8, func(int) error {
		receipt, err := h.try(keyed("k"))
		mu.Lock()
		defer mu.Unlock()
		receipts = append(receipts, receipt)
		return err
	})
	written := 0
	for _, receipt := range receipts {
		if !receipt.Repeated {
			written++
		}
		receipt.Repeated = receipts[0].Repeated
		h.sameReceipt("receipts of one key", receipts[0], receipt)
	}
	h.equal("receipts that are not Repeated", 1, written)
	h.equal("number of events", 4, len(h.all()))
}

func keyFreeAfterFailure(h *harness) {
	h.write(event("a", "x"))
	c := expecting(eventstore.NoStream, event("a", "x"))
	c.Key = "k"
	h.conflicts(c)
	c.Expect[0].At = eventstore.At(1)
	first := h.append(c)
	h.repeats(c, first)
}

func lookupFinds(h *harness) {
	h.write(event("b", "x"))
	first := h.append(keyed("k"))
	h.write(event("a", "x"))
	receipt, found := h.lookup("k")
	h.equal("Lookup of a key in use", true, found)
	h.sameReceipt("Lookup", first, receipt)
}

func lookupUnknown(h *harness) {
	receipt, found := h.lookup("k")
	h.equal("Lookup in an empty store", false, found)
	h.equal("receipt for an unknown key", eventstore.Receipt{}, receipt)
	h.append(keyed("k"))
	for _, key := range []string{"K", "k ", "kk", "a", "x", "j", "l"} {
		receipt, found := h.lookup(key)
		h.equal("Lookup of the unknown key "+key, false, found)
		h.equal("receipt for an unknown key", eventstore.Receipt{}, receipt)
	}
}

func lookupReopened(h *harness) {
	first := h.append(keyed("k"))
	h.reopen()
	receipt, found := h.lookup("k")
	h.equal("Lookup of a key in use", true, found)
	h.sameReceipt("Lookup", first, receipt)
}

func lookupInvalid(h *harness) {
	h.step("Lookup of the empty key")
	_, found, err := h.store.Lookup(h.ctx, "")
	h.matches("Lookup of the empty key", err, eventstore.ErrInvalid)
	h.equal("Lookup of the empty key", false, found)
}
