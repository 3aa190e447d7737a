package aggtest

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

type node struct {
	name string
	next *node
	deep map[string]any
}

func TestDump(t *testing.T) {
	ring := &node{name: "a", next: &node{name: "b"}}
	ring.next.next = ring
	ring.deep = map[string]any{"y": []byte{1, 255}, "x": [2]float64{0.5, 2}, "z": nil, "m": map[int]bool{2: true, 1: false}}
	require.Equal(t, []string{
		`(*aggtest.node).name: "a"`,
		`(*aggtest.node).next.name: "b"`,
		`(*aggtest.node).next.next: cycle`,
		`(*aggtest.node).next.deep: empty`,
		`(*aggtest.node).deep["m"].(map[int]bool)[1]: false`,
		`(*aggtest.node).deep["m"].(map[int]bool)[2]: true`,
		`(*aggtest.node).deep["x"].([2]float64)[0]: 0.5`,
		`(*aggtest.node).deep["x"].([2]float64)[1]: 2`,
		`(*aggtest.node).deep["y"].([]uint8): 01ff`,
		`(*aggtest.node).deep["z"]: nil`,
	}, dump(ring))
	require.Equal(t, []string{"nil"}, dump(nil))
	require.Equal(t, dump(node{}), dump(node{deep: map[string]any{}}), "nil and empty are the same")
	require.NotEqual(t, dump(struct{ P *int }{}), dump(struct{ P *int }{new(int)}), "nil and zero are not")
	require.Equal(t, []string{"(struct {}): {}"}, dump(struct{}{}))
	require.NotPanics(t, func() {
		dump(struct {
			f func()
			c chan int
			z complex64
			e error
		}{f: func() {}, e: fmt.Errorf("x")})
	})
}

func TestDiff(t *testing.T) {
	lines := func(n int) (all []string) {
		for i := range n {
			all = append(all, fmt.Sprint("line ", i))
		}
		return all
	}
	want, got := lines(12), lines(12)
	got[6] = "changed"
	require.Equal(t, "  …\n  line 3\n  line 4\n  line 5\n- line 6\n+ changed\n  line 7\n  line 8\n  line 9\n  …\n", diff(want, got))
	require.Equal(t, "+ a\n", diff(nil, []string{"a"}))
	require.Equal(t, "- a\n", diff([]string{"a"}, nil))
	require.Equal(t, "  a\n- b\n  c\n+ d\n", diff([]string{"a", "b", "c"}, []string{"a", "c", "d"}))
}
