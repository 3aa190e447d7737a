package cart_test

import (
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/examples/cart/cart"
)

func TestParseMoney(t *testing.T) {
	for text, want := range map[string]cart.Money{
		"2.55":                       2550,
		"2.5500":                     2550,
		"2":                          2000,
		"0":                          0,
		"-0":                         0,
		"0.001":                      1,
		"-0.001":                     -1,
		"007.1":                      7100,
		"-11062.06":                  -11062060,
		"1.000000000000000000000000": 1000,
		"9223372036854775.807":       math.MaxInt64,
		"-9223372036854775.807":      -math.MaxInt64,
		"-9223372036854775.808":      math.MinInt64,
	} {
		got, err := cart.ParseMoney(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
}

func TestParseMoney_Malformed(t *testing.T) {
	for _, text := range []string{
		"", "-", ".", "2.", ".5", "-.5", "--1", "+1", "1-", "1.2.3", "1,5", "1e3", "0x1", "1_000", "NaN", "Inf",
		" 1", "1 ", "1.2 ", "free", "£1", "2.5555", "0.0001", "١", "1.-2",
		"9223372036854775.808", "-9223372036854775.809", "9223372036854776", "99999999999999999999999999",
	} {
		_, err := cart.ParseMoney(text)
		require.ErrorIs(t, err, cart.ErrMoney, text)
	}
}

func TestMoney_String(t *testing.T) {
	for amount, want := range map[cart.Money]string{
		2550: "2.550", 0: "0.000", 1: "0.001", -1: "-0.001", -1000: "-1.000",
		math.MaxInt64: "9223372036854775.807", math.MinInt64: "-9223372036854775.808",
	} {
		require.Equal(t, want, amount.String())
		back, err := cart.ParseMoney(want)
		require.NoError(t, err)
		require.Equal(t, amount, back)
	}
}

// FuzzParseMoney compares with exact rational numbers.
func FuzzParseMoney(f *testing.F) {
	for _, text := range []string{"2.55", "-0.001", "2.5555", "9223372036854775.808", ".5", "1e3", "1/3", "1.0000"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		amount, err := cart.ParseMoney(text)
		exact, ok := new(big.Rat).SetString(text)
		if err != nil {
			require.ErrorIs(t, err, cart.ErrMoney)
			plain := text != "" && strings.Trim(text, "0123456789") == ""
			require.False(t, plain && len(text) <= 15, "%q is an amount", text)
			return
		}
		require.True(t, ok, "%q is not a number", text)
		require.Zero(t, exact.Mul(exact, big.NewRat(1000, 1)).Cmp(new(big.Rat).SetInt64(int64(amount))), "%q is not %v", text, amount)
		back, err := cart.ParseMoney(amount.String())
		require.NoError(t, err)
		require.Equal(t, amount, back)
	})
}

// FuzzArithmetic compares sums and products with those of big integers.
func FuzzArithmetic(f *testing.F) {
	for _, a := range []int64{0, 1, -1, 3, math.MaxInt64, math.MinInt64, math.MaxInt64 / 3} {
		for _, b := range []int64{0, 1, -1, 3, math.MaxInt64, math.MinInt64} {
			f.Add(a, b)
		}
	}
	f.Fuzz(func(t *testing.T, a, b int64) {
		wide := new(big.Int)
		wide.Add(big.NewInt(a), big.NewInt(b))
		sum, ok := cart.Sum(a, b)
		require.Equal(t, wide.IsInt64(), ok, "%d + %d", a, b)
		require.True(t, !ok || wide.Int64() == sum)

		wide.Mul(big.NewInt(a), big.NewInt(b))
		product, ok := cart.Money(a).Times(b)
		require.Equal(t, wide.IsInt64(), ok, "%d * %d", a, b)
		require.True(t, !ok || wide.Int64() == int64(product))
	})
}
