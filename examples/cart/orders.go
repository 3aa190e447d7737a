package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/yore-es/yore/examples/cart/cart"
)

// maxFile is the limit of an order book, in bytes. The file is read into memory, because
// the lines of an invoice may be anywhere in it.
const maxFile = 1 << 30

// columns is the header of the Online Retail format.
var columns = []string{
	"InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country",
}

// orderBook is the content of an Online Retail file.
type orderBook struct {
	invoices  []*invoice // in the order of their first lines
	rows      int        // records after the header, malformed ones included
	malformed []malformedLine
}

// invoice is an order. Its lines are in the order of the file, where lines of other
// invoices may be between them.
type invoice struct {
	number string
	lines  []orderLine
}

// orderLine is a line of an invoice, not yet checked by the rules of the cart.
type orderLine struct {
	line     int // of the file, from 1
	item     cart.AddItem
	date     time.Time
	customer string // "" if unknown
}

// malformedLine is a line that is not in the format.
type malformedLine struct {
	line   int
	reason string
}

// readOrderBook reads the file at path. It returns an error for a file in another format.
// Malformed lines are no error; they are listed.
func readOrderBook(path string) (_ *orderBook, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("read %s: more than %d bytes; import it in parts", path, maxFile)
	}
	book, err := parseOrderBook(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return book, nil
}

func parseOrderBook(data []byte) (*orderBook, error) {
	records := newCSVRecords(data)
	header, _, _, _ := records.next()
	if !slices.Equal(header, columns) {
		return nil, fmt.Errorf("not in the Online Retail format, whose first line is %s", strings.Join(columns, ","))
	}
	book := &orderBook{}
	byNumber := make(map[string]*invoice)
	for {
		fields, line, fault, ok := records.next()
		if !ok {
			return book, nil
		}
		book.rows++
		var parsed orderLine
		if fault == "" {
			parsed, fault = parseOrderLine(fields)
		}
		if fault != "" {
			book.malformed = append(book.malformed, malformedLine{line: line, reason: fault})
			continue
		}
		parsed.line = line
		number := parsed.item.Cart
		if byNumber[number] == nil {
			byNumber[number] = &invoice{number: number}
			book.invoices = append(book.invoices, byNumber[number])
		}
		byNumber[number].lines = append(byNumber[number].lines, parsed)
	}
}

// parseOrderLine parses the fields of a record, or returns the reason why it cannot.
func parseOrderLine(fields []string) (parsed orderLine, fault string) {
	if len(fields) != len(columns) {
		return parsed, fmt.Sprintf("%d fields, not %d", len(fields), len(columns))
	}
	for i, field := range fields {
		if !utf8.ValidString(field) {
			return parsed, columns[i] + " is not UTF-8"
		}
		fields[i] = strings.TrimSpace(field)
	}
	quantity, err := parseQuantity(fields[3])
	if err != nil {
		return parsed, err.Error()
	}
	date, err := parseInvoiceDate(fields[4])
	if err != nil {
		return parsed, err.Error()
	}
	price, err := cart.ParseMoney(fields[5])
	if err != nil {
		return parsed, "unit price " + err.Error()
	}
	item := cart.AddItem{
		Cart: fields[0], SKU: fields[1], Description: fields[2], Quantity: quantity, UnitPrice: price,
	}
	if item.Cart == "" || item.SKU == "" {
		return parsed, "InvoiceNo or StockCode is empty"
	}
	return orderLine{item: item, date: date, customer: parseCustomer(fields[6])}, ""
}

// parseInvoiceDate parses a date in one of the two forms of Online Retail files. They have
// no time zone; the date is taken as UTC.
func parseInvoiceDate(text string) (time.Time, error) {
	for _, layout := range []string{time.DateTime, "1/2/2006 15:04"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("invoice date %q: not a date such as 2010-12-01 08:26:00", text)
}

// parseCustomer returns the customer's number without the ".0" that spreadsheets add. It
// returns "" for 0, which stands for unknown.
func parseCustomer(text string) string {
	number := strings.TrimSuffix(text, ".0")
	if number == "0" {
		return ""
	}
	return number
}
