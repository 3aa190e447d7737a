package cart

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Money is an amount in thousandths of the shop's currency: 2550 is 2.550. It is exact; no
// amount is converted to a float.
type Money int64

// ErrMoney is the error for a text that is not an amount.
var ErrMoney = errors.New("not an amount such as 2.55")

const decimals = 3

// ParseMoney parses an amount: an optional minus sign, digits, and optionally a point with
// more digits. Digits after the third decimal must be zeros. For any other text, and for
// an amount that does not fit, the error matches [ErrMoney].
func ParseMoney(text string) (Money, error) {
	unsigned, negative := strings.CutPrefix(text, "-")
	whole, fraction, point := strings.Cut(unsigned, ".")
	if !isDigits(whole) || point && !isDigits(fraction) {
		return 0, fmt.Errorf("%q: %w", text, ErrMoney)
	}
	fraction = strings.TrimRight(fraction, "0")
	if len(fraction) > decimals {
		return 0, fmt.Errorf("%q: %w: more than %d decimals", text, ErrMoney, decimals)
	}
	fraction += strings.Repeat("0", decimals-len(fraction))
	limit := uint64(math.MaxInt64)
	if negative {
		limit++
	}
	thousandths, err := strconv.ParseUint(whole+fraction, 10, 64)
	if err != nil || thousandths > limit {
		return 0, fmt.Errorf("%q: %w: too large", text, ErrMoney)
	}
	if negative {
		return -Money(thousandths), nil
	}
	return Money(thousandths), nil
}

func isDigits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

// String returns the amount with three decimals: "2.550".
func (m Money) String() string {
	sign, thousandths := "", uint64(m)
	if m < 0 {
		sign, thousandths = "-", -thousandths
	}
	return fmt.Sprintf("%s%d.%03d", sign, thousandths/1000, thousandths%1000)
}

// MarshalText returns String, so amounts are stored as "2.550", which is readable and exact
// in JSON.
func (m Money) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText parses with [ParseMoney].
func (m *Money) UnmarshalText(text []byte) (err error) {
	*m, err = ParseMoney(string(text))
	return err
}

// Times returns the amount n times, and whether it fits.
func (m Money) Times(n int64) (Money, bool) {
	if m == 0 || n == 0 {
		return 0, true
	}
	if m == math.MinInt64 && n == -1 {
		return 0, false // the division below does not detect this overflow
	}
	product := m * Money(n)
	if product/Money(n) != m {
		return 0, false
	}
	return product, true
}

// Sum returns the sum of two numbers or amounts, and whether it fits.
func Sum[N ~int64](a, b N) (N, bool) {
	sum := a + b
	if (sum > a) != (b > 0) {
		return 0, false
	}
	return sum, true
}
