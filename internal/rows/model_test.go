package rows_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/rows"
)

// TestBuffer_Model compares up to three nested buffers with maps, each with a copy
// of the map below.
func TestBuffer_Model(t *testing.T) {
	for range 20 {
		seed := rand.Uint64()
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { runModel(t, rand.New(rand.NewPCG(seed, 0)), 400) })
	}
}

func FuzzBuffer(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) { runModel(t, rand.New(rand.NewPCG(seed, 1)), 100) })
}

func runModel(t *testing.T, rnd *rand.Rand, steps int) {
	under := plain{}
	for range rnd.IntN(30) {
		under.Put(randomRow(rnd))
	}
	stack := []*layer{over(under, under)}
	for range steps {
		top := stack[len(stack)-1]
		switch n := rnd.IntN(100); {
		case n < 50:
			top.put(t, randomRow(rnd), randomRow(rnd))
		case n < 65:
			top.compareGet(t, rnd)
		case n < 90:
			top.compareScan(t, rnd)
		case n < 95:
			if len(stack) < 3 {
				stack = append(stack, over(top.buffer, top.model))
			}
		case len(stack) > 1: // a commit succeeds or fails
			changes := top.buffer.Rows()
			top.buffer.Close()
			stack = stack[:len(stack)-1]
			below := stack[len(stack)-1]
			switch rnd.IntN(3) {
			case 0:
				below.put(t, changes...)
			case 1:
				require.NoError(t, below.buffer.Merge(top.buffer))
				below.model.Put(changes...)
			}
		}
		top = stack[len(stack)-1]
		n, _ := top.buffer.Size()
		require.Equal(t, n, len(top.buffer.Rows()))
	}
	bottom := stack[0]
	under.Put(bottom.buffer.Rows()...)
	if len(stack) == 1 {
		require.Equal(t, bottom.model, under)
	}
	size := 0
	for _, r := range bottom.buffer.Rows() {
		size += len(r.Key) + len(r.Value)
	}
	_, actual := bottom.buffer.Size()
	require.Equal(t, size, actual)
}

// layer is a buffer and its model.
type layer struct {
	buffer *rows.Buffer
	model  plain
}

func over(base rows.Base, model plain) *layer {
	return &layer{buffer: rows.New(base), model: maps.Clone(model)}
}

func (p *layer) put(t *testing.T, changes ...eventstore.Row) {
	require.NoError(t, p.buffer.Put(changes...))
	p.model.Put(changes...)
}

func (p *layer) compareGet(t *testing.T, rnd *rand.Rand) {
	var keys []eventstore.RowKey
	for range rnd.IntN(5) {
		keys = append(keys, randomRow(rnd).RowKey)
	}
	found, err := p.buffer.Get(keys...)
	require.NoError(t, err)
	expected, _ := p.model.Get(keys...)
	require.Equal(t, say(expected...), say(found...))
}

func (p *layer) compareScan(t *testing.T, rnd *rand.Rand) {
	scan := eventstore.RowScan{Table: randomRow(rnd).Table, Backward: rnd.IntN(2) == 0, Limit: rnd.IntN(8)}
	if rnd.IntN(2) == 0 {
		scan.From = randomRow(rnd).Key
	}
	if rnd.IntN(2) == 0 {
		scan.To = randomRow(rnd).Key
	}
	if rnd.IntN(4) == 0 {
		scan = eventstore.PrefixScan(scan.Table, randomRow(rnd).Key)
	}
	expected := scanned(t, p.model, scan)
	writes := rnd.IntN(3) == 0
	found := []eventstore.Row{}
	for r, err := range p.buffer.Scan(scan) {
		require.NoError(t, err)
		found = append(found, r)
		if writes {
			p.put(t, randomRow(rnd))
		}
	}
	require.Equal(t, expected, say(found...), "%+v", scan)
}

// randomRow returns one of a few rows, so that keys repeat.
func randomRow(rnd *rand.Rand) eventstore.Row {
	letters := []byte{0, 'a', 'b', 0xff}
	r := eventstore.Row{RowKey: eventstore.RowKey{Table: []string{"t", "tt", "u"}[rnd.IntN(3)]}}
	for range 1 + rnd.IntN(3) {
		r.Key = append(r.Key, letters[rnd.IntN(len(letters))])
	}
	switch rnd.IntN(4) {
	case 0: // deleted
	case 1:
		r.Value = []byte{}
	default:
		r.Value = fmt.Append(nil, rnd.IntN(1000))
	}
	return r
}
