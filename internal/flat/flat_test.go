package flat_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/internal/flat"
)

func TestValues(t *testing.T) {
	require.Nil(t, flat.Values(nil))
	require.Empty(t, flat.Values([]any{[]any{}, []any{[]any{}}}))
	plain := []any{1, "2", nil, []int{3}}
	require.Equal(t, plain, flat.Values(plain), "other slices are values")
	nested := []any{1, []any{2, []any{3}, 4}, []any(nil), 5}
	require.Equal(t, []any{1, 2, 3, 4, 5}, flat.Values(nested))
	require.Equal(t, []any{1, []any{2, []any{3}, 4}, []any(nil), 5}, nested, "the list is not changed")
}
