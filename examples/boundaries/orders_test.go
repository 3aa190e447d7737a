package main

import "testing"

func TestPlaceOrder(t *testing.T) {
	check(t, []scenario{
		{
			name:    "from a form that was sent before",
			given:   given(OrderPlaced{"o12345", "11111"}),
			when:    placeOrder("o54321", "11111"),
			refused: ErrOrderPlaced,
		},
		{
			name:  "from a new form",
			given: given(OrderPlaced{"o12345", "11111"}),
			when:  placeOrder("o54321", "22222"),
			then:  []any{OrderPlaced{"o54321", "22222"}},
		},
	})
}
