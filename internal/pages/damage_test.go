package pages_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/internal/pages"
)

const smallPage = 1024 // of trees

var order = binary.NativeEndian

// damage is a change of one page.
type damage struct {
	name string
	bit  int // that is changed; 0: another change
	do   func(page []byte)
}

// replacements puts other pages, or bytes, in the place of a page.
func replacements(content []byte, id uint64) (all []damage) {
	replace := func(name string, with []byte, keepID bool) {
		all = append(all, damage{name: name, do: func(page []byte) {
			copy(page, with)
			if keepID {
				order.PutUint64(page, id)
			}
		}})
	}
	replace("zeros", make([]byte, smallPage), false)
	replace("zeros", make([]byte, smallPage), true)
	replace("ones", bytes.Repeat([]byte{0xff}, smallPage), true)
	for other := range len(content) / smallPage {
		if uint64(other) != id {
			replace(fmt.Sprint("page ", other), content[other*smallPage:][:smallPage], true)
		}
	}
	replace("page of another place", content[(id-1)*smallPage:][:smallPage], false)
	return all
}

// changes damages parts of a page.
func changes(page []byte) (all []damage) {
	add := func(name string, do func(page []byte)) { all = append(all, damage{name: name, do: do}) }
	count := order.Uint16(page[10:])
	for _, n := range []uint16{0, 1, count - 1, count + 1, count + 2, 0xfffe, 0xffff} {
		if n != count {
			add(fmt.Sprint("count ", n), func(page []byte) { order.PutUint16(page[10:], n) })
		}
	}
	for bit := range 8 * (16 + 16*int(count)) {
		all = append(all, damage{fmt.Sprint("bit ", bit), bit, func(page []byte) { page[bit/8] ^= 1 << (bit % 8) }})
	}
	offset := 16 // in the page, of the offset in an element
	if page[8] == 2 {
		offset += 4
	}
	for i := range int(count) - 1 {
		add(fmt.Sprint("elements swapped ", i), func(page []byte) {
			a, b := bytes.Clone(page[16+16*i:][:16]), bytes.Clone(page[32+16*i:][:16])
			copy(page[16+16*i:], b)
			copy(page[32+16*i:], a)
			order.PutUint32(page[offset+16*i:], order.Uint32(page[offset+16*i:])+16)
			order.PutUint32(page[offset+16+16*i:], order.Uint32(page[offset+16+16*i:])-16)
		})
	}
	return all
}

// keyOf returns the key of an element of a page of a tree, "" if there is none.
func keyOf(page []byte, i int) string {
	if i < 0 || i >= int(order.Uint16(page[10:])) || page[8] != 1 && page[8] != 2 {
		return ""
	}
	e := page[16+16*i:]
	offset, size := order.Uint32(e), order.Uint32(e[4:])
	if page[8] == 2 {
		offset, size = order.Uint32(e[4:]), order.Uint32(e[8:])
	}
	return string(e[offset:][:size])
}

// lastOf returns the key of the last element of a leaf, "" of a branch. No other byte has
// the size of its value.
func lastOf(page []byte) string {
	if page[8] != 2 {
		return ""
	}
	return keyOf(page, int(order.Uint16(page[10:]))-1)
}

// rootsOf returns the pages to which no branch leads.
func rootsOf(content []byte, used []uint64) map[uint64]bool {
	roots := map[uint64]bool{}
	for _, id := range used {
		roots[id] = true
	}
	for _, id := range used {
		page := content[id*smallPage:][:smallPage]
		for i := range int(order.Uint16(page[10:])) {
			if page[8] == 1 {
				delete(roots, order.Uint64(page[16+16*i+8:]))
			}
		}
	}
	return roots
}

// mayLeadToOlder reports whether the damage may put an older state of a page into the place
// of a page, or make a branch lead to one: then all rules may hold. No other page has the
// first key of a root, so any page may lie there.
func (d damage) mayLeadToOlder(page, sound []byte, isRoot bool) bool {
	switch {
	case strings.HasPrefix(d.name, "page"):
		return isRoot || page[8] == sound[8] && keyOf(page, 0) == keyOf(sound, 0)
	case d.bit > 0 && sound[8] == 1:
		return (d.bit/8-16)%16 >= 8 // of the number of a child
	}
	return false
}

// changesKind reports whether the damage makes a value a bucket, or the reverse. Callers
// notice that.
func (d damage) changesKind() bool { return d.bit >= 128 && d.bit%128 == 0 }

// TestTree_DamagedPages damages each page of all trees in many ways. Each walk must end,
// with all elements as they were or with an error.
func TestTree_DamagedPages(t *testing.T) {
	content, meta, used := trees(t)
	whole, err := elements(t, pages.Of(content, meta), 10_000)
	require.NoError(t, err)
	require.Greater(t, len(whole), 300)
	roots := rootsOf(content, used)
	cases, noticed := 0, [2]int{}
	for _, id := range used {
		page := content[id*smallPage:][:smallPage]
		sound := bytes.Clone(page)
		for _, d := range append(replacements(bytes.Clone(content), id), changes(page)...) {
			d.do(page)
			if bytes.Equal(page, sound) || id == meta.Root && order.Uint16(page[10:]) == 0 { // a file may be empty
				copy(page, sound)
				continue
			}
			name := fmt.Sprintf("page %d: %s", id, d.name)
			cases++
			for direction, walk := range []func(testing.TB, *pages.Tx, int) ([]element, error){elements, backward} {
				found, problem := walk(t, pages.Of(content, meta), 4*len(whole))
				switch {
				case problem != nil:
					noticed[direction]++
				case !d.changesKind() && !d.mayLeadToOlder(page, sound, roots[id]):
					requireSame(t, sound, whole, found, name)
				}
			}
			copy(page, sound)
		}
	}
	t.Logf("%d cases, %d noticed", cases, noticed)
	require.Greater(t, min(noticed[0], noticed[1]), cases*95/100)
}

// backward is elements, and walks through each bucket backward.
func backward(t testing.TB, tx *pages.Tx, most int) (all []element, damage error) {
	damage = damageIn(func() {
		for name := range tx.Root().All() {
			all = append(all, element{path: "/" + string(name), isBucket: true})
			start := len(all)
			c := tx.Bucket(name).Cursor()
			for key, value := c.Last(); key != nil; key, value = c.Prev() {
				if len(all) == most {
					require.FailNow(t, "the walk does not end")
				}
				all = append(all, element{"/" + string(name) + "/" + string(key), string(value), value == nil})
			}
			slices.Reverse(all[start:])
		}
	})
	return all, damage
}

// requireSame requires the elements that the file had before the damage of a page. The last
// element of the page may differ.
func requireSame(t *testing.T, page []byte, want, got []element, name string) {
	lost := int(page[8] / 2) // the last key may be another one, behind the next
	if lastOf(page) == "small" {
		lost = 3 // and its elements
	}
	require.GreaterOrEqual(t, len(got), len(want)-lost, name)
	for i := range min(len(want), len(got)) {
		if want[i] == got[i] {
			continue
		}
		require.Contains(t, want[i].path+"/", "/"+lastOf(page)+"/", name)
	}
}

// TestTree_Get_InDamagedPages looks up each key, and keys that are not there, while a page
// is damaged.
func TestTree_Get_InDamagedPages(t *testing.T) {
	content, meta, used := trees(t)
	want := map[string][]byte{}
	for key, value := range pages.Of(content, meta).Bucket([]byte("rows")).All() {
		want[string(key)] = bytes.Clone(value)
		want[string(key)+"0"], want[string(key[:len(key)-1])] = nil, nil
	}
	roots := rootsOf(content, used)
	noticed, wrong := 0, 0
	for _, id := range used {
		page := content[id*smallPage:][:smallPage]
		sound := bytes.Clone(page)
		for i, d := range changes(page) {
			if d.bit > 0 && (i%17 > 0 || d.mayLeadToOlder(page, sound, roots[id])) || id == meta.Root && d.name == "count 0" {
				continue
			}
			d.do(page)
			for key, value := range want {
				var got []byte
				err := damageIn(func() {
					if rows := pages.Of(content, meta).Bucket([]byte("rows")); rows != nil { // the last one may be lost
						got = rows.Get([]byte(key))
					}
				})
				switch {
				case err != nil:
					noticed++
				case !bytes.Equal(got, value):
					wrong++
					require.Equal(t, lastOf(sound), key, "page %d, %s", id, d.name)
				}
			}
			copy(page, sound)
		}
	}
	t.Logf("damage noticed %d times; %d wrong answers for last elements", noticed, wrong)
	require.Greater(t, noticed, 1000)
}

// TestTree_SizeOfTheLastValue changes the size of the last value of a page. It must fit
// where the page has overflow, or lies within an element.
func TestTree_SizeOfTheLastValue(t *testing.T) {
	content, meta, _ := trees(t)
	tx := pages.Of(content, meta)
	large, _ := tx.Bucket([]byte("rows")).Cursor().Last()
	at, ok := tx.Offset(large)
	require.True(t, ok)
	page := content[at/smallPage*smallPage:]
	require.Equal(t, string(large), lastOf(page))
	first, _ := tx.Bucket([]byte("small")).Cursor().First() // the table ends there
	at, ok = tx.Offset(first)
	require.True(t, ok)
	for name, element := range map[string][]byte{
		"rows":  page[16+16*(int(order.Uint16(page[10:]))-1):],
		"small": content[at-16:],
	} {
		size := order.Uint32(element[12:])
		order.PutUint32(element[12:], size-min(size/2, 2000))
		require.ErrorContains(t, damageIn(func() { tx.Bucket([]byte(name)).Cursor().Last() }), "damaged element", name)
		order.PutUint32(element[12:], size)
	}
}

// leavesOf returns the leaves of the tree of trees that has a key with a prefix, in order.
func leavesOf(content []byte, used []uint64, prefix string) (leaves []uint64) {
	for _, id := range used {
		if page := content[id*smallPage:][:smallPage]; page[8] == 2 && strings.HasPrefix(keyOf(page, 0), prefix) {
			leaves = append(leaves, id)
		}
	}
	slices.SortFunc(leaves, func(a, b uint64) int {
		return strings.Compare(keyOf(content[a*smallPage:], 0), keyOf(content[b*smallPage:], 0))
	})
	return leaves
}

// TestCursor_KeysOutOfOrder renames keys so that they are behind those of the next element,
// or of the next page. A walk meets that in each direction.
func TestCursor_KeysOutOfOrder(t *testing.T) {
	content, meta, used := trees(t)
	page := content[leavesOf(content, used, "rows-00")[4]*smallPage:][:smallPage]
	for i, problem := range map[int]string{1: "damaged element", int(order.Uint16(page[10:])) - 1: "do not follow"} {
		key := keyOf(page, i)
		at := bytes.LastIndex(page, []byte(key))
		copy(page[at:], "rows-9")
		for _, walk := range []func(testing.TB, *pages.Tx, int) ([]element, error){elements, backward} {
			_, damage := walk(t, pages.Of(content, meta), 10_000)
			require.ErrorContains(t, damage, problem)
		}
		copy(page[at:], key)
	}
}

// FuzzTree changes bytes of a file and moves a cursor. Nothing but a PageError may come of
// it, and each walk must end.
func FuzzTree(f *testing.F) {
	content, meta, _ := trees(f)
	f.Add(uint32(3000), uint64(7), uint32(3), uint32(9), []byte("fnnnlpps4nn"))
	f.Add(uint32(2058), uint64(1), uint32(5), uint32(4), []byte("lppppps1pps9nn"))
	f.Fuzz(func(t *testing.T, at uint32, with uint64, from, to uint32, moves []byte) {
		damaged := bytes.Clone(content)
		page := func(id uint32) []byte {
			return damaged[uint64(id)%meta.HighWater*smallPage:][:smallPage]
		}
		if from != to {
			copy(page(to), page(from))
			order.PutUint64(page(to), uint64(to)%meta.HighWater)
		}
		order.PutUint64(damaged[int(at)%(len(damaged)-8):], with)
		tx := pages.Of(damaged, meta)
		_, _ = elements(t, tx, 100_000)
		defer func() {
			if r := recover(); r != nil {
				require.IsType(t, &pages.PageError{}, r)
			}
		}()
		for _, name := range []string{"log", "rows", "small"} {
			if tree := tx.Bucket([]byte(name)); tree != nil {
				move(tree.Cursor(), name, moves)
			}
		}
	})
}

func move(c *pages.Cursor, name string, moves []byte) {
	for _, m := range moves {
		switch m {
		case 'f':
			c.First()
		case 'l':
			c.Last()
		case 'n':
			c.Next()
		case 'p':
			c.Prev()
		default:
			c.Seek(fmt.Appendf(nil, "%s-%04d", name, int(m)))
		}
	}
}
