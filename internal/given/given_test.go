package given_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/internal/given"
)

type thing struct{}

func (*thing) String() string { return "" }

func TestValue(t *testing.T) {
	var none interface{ String() string }
	require.EqualError(t, given.Value("the store", none), "the store is nil")
	none = (*thing)(nil)
	require.EqualError(t, given.Value("the store", none), "the store is a nil *given_test.thing")
	require.NoError(t, given.Value("the store", &thing{}))
	require.NoError(t, given.Value("the store", thing{}))
}
