package main

import (
	"bytes"
	"context"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTour(t *testing.T) {
	begin := time.Now()
	t.Setenv("TMPDIR", t.TempDir())
	status, stdout, stderr := runProgram()
	require.Zero(t, status)
	require.Empty(t, stderr)
	require.Less(t, time.Since(begin), 5*time.Second)
	for _, line := range []string{
		"1. Commands become events",
		"> set item \"85123A\" in cart \"ann\" to 6\n    event  cart-ann/3  cart.item-quantity-changed  now 6 x 85123A at 2.550\n",
		"> remove item \"22423\" from cart \"ann\"\n    refused: the item is not in the cart\n",
		"the last event had position 5 before and has position 5 now.",
		"Three events ago it was at version 2:\n\ncart ann, open: 3 pieces, 17.850\n",
		"conflict on cart-party: expected version 1, is at version 2 since cart.item-added\n",
		"    event  cart-party/3  cart.item-added  3 x 71053 at 3.390  White metal lantern\n    cart   1 x 22423, 7 x 71053 = 36.480\n",
		"    carried out before: this is the first answer\n",
		"> check out cart \"ann\"\n    refused: the cart is checked out\n",
		"    follower: 9 events read, waiting at position 9\n",
		"    follower: position 12  cart-party/4  cart.checked-out  8 pieces for 36.480\n",
		"   1. 71053                    10               33.900  White metal lantern\n",
		"CHANGED\ncarl         open             1              2               25.500  ",
		"CHANGED\ncarl         open             2              3               28.050  ",
		"    committed, view late: never run, waited for position 15\n",
		"   3. 22423                     3               38.250  Regency cakestand\n",
		"    before:      version 1: 71053 leads with 160 pieces\n                 version 2: projection has never run\n",
		"    465 of 465:  version 1: 71053 leads with 160 pieces\n",
		"    afterwards:  version 1: projection was replaced: \"best-sellers\" version 1, by version 2\n",
		"                 version 2: 85123A leads with 159 pieces, in 153 carts\n",
		"    cart   1 x 22423, 1 x 22727 = 16.500\n    shelves  stopped after position 466, at cart.item-added:\n",
		"item 22727 is on no shelf\n",
		"    shelves  A: 315 pieces, B: 7 pieces\n",
		"    shelves  A: 315 pieces, B: 11 pieces\n",
		"go run ./examples/cart -db shop.yore",
	} {
		require.Contains(t, stdout, line)
	}
	for line := range strings.Lines(stdout) {
		require.LessOrEqual(t, len(line), 110, line)
	}
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	require.NoError(t, err)
	require.Empty(t, left)

	_, again, _ := runProgram()
	changing := regexp.MustCompile(`/\S*/yore-cart-\d+|\d{4}-\d\d-\d\dT\S+`)
	require.Equal(t, changing.ReplaceAllString(stdout, "…"), changing.ReplaceAllString(again, "…"))
}

func TestTour_Interrupted(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, runTour(ctx, &printer{w: &bytes.Buffer{}}), context.Canceled)
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	require.NoError(t, err)
	require.Empty(t, left)
}
