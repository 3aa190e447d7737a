package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/yore-es/yore/examples/cart/cart"
)

// lineOf formats an event on one line: stream and version, name, content.
func lineOf(r record) string {
	return fmt.Sprintf("%s/%d  %s  %s", r.Stream, r.Version, r.Type, describe(r.Data))
}

// happened formats the time of an event if that differs from the time of recording.
func happened(r record) string {
	if r.Time.Equal(r.Recorded) {
		return ""
	}
	return "  (of " + r.Time.UTC().Format(time.DateTime) + ")"
}

// describe formats the content of an event.
func describe(event cart.Event) string {
	switch e := event.(type) {
	case cart.ItemAdded:
		return strings.TrimSpace(fmt.Sprintf("%d x %s at %v  %s", e.Quantity, e.SKU, e.UnitPrice, plain(e.Description)))
	case cart.ItemQuantityChanged:
		return fmt.Sprintf("now %d x %s at %v", e.Quantity, e.SKU, e.UnitPrice)
	case cart.ItemRemoved:
		return fmt.Sprintf("%s at %v", e.SKU, e.UnitPrice)
	case cart.CartCheckedOut:
		return fmt.Sprintf("%s for %v", countPieces(e.Pieces), e.Total)
	default:
		return fmt.Sprint(e)
	}
}

// printCart prints the lines of a cart, and the sum.
func printCart(out *printer, id string, state cart.State) {
	out.printf("cart %s, %s: %s, %v\n", id, condition(state.CheckedOut), countPieces(state.Pieces()), state.Total())
	for _, l := range state.Lines {
		text := fmt.Sprintf("%8d x %-12s at %10v = %12v  %s", l.Quantity, l.SKU, l.UnitPrice, l.Amount(), plain(l.Description))
		out.printf("%s\n", strings.TrimRight(text, " "))
	}
}

func condition(checkedOut bool) string {
	if checkedOut {
		return "checked out"
	}
	return "open"
}

// printSummaries prints a list of carts, one a line.
func printSummaries(out *printer, carts []cart.Summary) {
	if len(carts) == 0 {
		out.printf("there are no carts yet\n")
		return
	}
	out.printf("%-12s %-11s %6s %14s %20s  %s\n", "CART", "", "LINES", "PIECES", "TOTAL", "CHANGED")
	for _, c := range carts {
		out.printf("%-12s %-11s %6d %14s %20s  %s\n", c.Cart, condition(c.CheckedOut), c.Lines,
			grouped(strconv.FormatInt(c.Pieces, 10)), grouped(c.Total.String()), stamp(c.Changed))
	}
}

// printSellers prints a list of best sellers under a heading.
func printSellers(out *printer, order string, sellers []cart.Seller) {
	out.printf("best sellers %s\n", order)
	if len(sellers) == 0 {
		out.printf("      nothing was sold yet\n")
		return
	}
	out.printf("      %-12s %14s %20s  %s\n", "SKU", "PIECES", "REVENUE", "DESCRIPTION")
	for i, s := range sellers {
		description := plain(s.Description)
		if s.AtLeast {
			description = strings.TrimSpace("(at least) " + description)
		}
		text := fmt.Sprintf("%4d. %-12s %14s %20s  %s", i+1, s.SKU,
			grouped(strconv.FormatInt(s.Pieces, 10)), grouped(s.Revenue.String()), description)
		out.printf("%s\n", strings.TrimRight(text, " "))
	}
}

func countPieces(n int64) string {
	if n == 1 {
		return "1 piece"
	}
	return fmt.Sprintf("%d pieces", n)
}

// grouped puts commas between the thousands of a number that is not negative.
func grouped(number string) string {
	whole, fraction, point := strings.Cut(number, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if point {
		whole += "." + fraction
	}
	return whole
}

// stamp formats a recorded time with all its digits, so that it can be passed to show
// -as-of.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000000Z07:00") }

// plain formats any text on one line.
func plain(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
}
