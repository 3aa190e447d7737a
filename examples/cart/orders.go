package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
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
	malformed reports
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

// maxReports is the number of lines that are reported one by one.
const maxReports = 100

// reports are the reasons why lines were not imported: of the first lines; the others are
// counted.
type reports struct {
	first []report
	n     int
}

// report is the reason why a line was not imported.
type report struct {
	line   int
	reason string
}

func (r *reports) add(line int, reason string) {
	r.n++
	if len(r.first) < maxReports {
		r.first = append(r.first, report{line, reason})
	}
}

// print prints the reports of lines in a file, in the order of the lines.
func (r *reports) print(errs *printer, path string) {
	slices.SortFunc(r.first, func(a, b report) int { return cmp.Compare(a.line, b.line) })
	for _, one := range r.first {
		errs.printf("%s:%d: %s\n", path, one.line, one.reason)
	}
	if more := r.n - len(r.first); more > 0 {
		errs.printf("%s: and %d more\n", path, more)
	}
}

// dateOrder is the order of day, month and year in dates with slashes.
type dateOrder string

// layout returns the layout of the dates with slashes; "" if their order is not known.
func (o dateOrder) layout() string {
	return map[dateOrder]string{"mdy": "1/2/2006 15:04", "dmy": "2/1/2006 15:04"}[o]
}

// readOrderBook reads the file at path. It returns an error for a file in another format.
// Malformed lines are no error; they are listed.
func readOrderBook(ctx context.Context, path string, dates dateOrder) (_ *orderBook, err error) {
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if info.IsDir() {
		return nil, fmt.Errorf("read %s: it is a directory", path)
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: it is no regular file", path)
	}
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
	book, err := parseOrderBook(ctx, data, dates)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return book, nil
}

func parseOrderBook(ctx context.Context, data []byte, dates dateOrder) (*orderBook, error) {
	records := newCSVRecords(data)
	header, _, _, _ := records.next()
	if !slices.Equal(header, columns) {
		return nil, fmt.Errorf("not in the Online Retail format, whose first line is %s%s", strings.Join(columns, ","), guess(data))
	}
	book := &orderBook{}
	byNumber := make(map[string]*invoice)
	for {
		fields, line, fault, ok := records.next()
		if !ok {
			return book, nil
		}
		if book.rows++; book.rows%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		var parsed orderLine
		if fault == "" {
			parsed, fault = parseOrderLine(fields, dates)
		}
		if fault != "" {
			book.malformed.add(line, "malformed: "+fault)
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

// guess returns what may be wrong with a file in another format.
func guess(data []byte) string {
	first := data[:lineEnd(data)]
	switch {
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}), bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		return "; it is UTF-16: save it as UTF-8"
	case bytes.IndexByte(first, 0) >= 0:
		return "; it is not UTF-8"
	case bytes.Count(first, []byte(";")) == len(columns)-1, bytes.Count(first, []byte("\t")) == len(columns)-1:
		return "; save it with commas between the fields"
	case bytes.ContainsRune(first, '\r') && !bytes.HasSuffix(first, []byte("\r\n")):
		return "; its lines end with CR alone: save it with LF or CRLF"
	}
	return ""
}

// parseOrderLine parses the fields of a record, or returns the reason why it cannot. What it
// returns is within the limits of the cart and of the store.
func parseOrderLine(fields []string, dates dateOrder) (parsed orderLine, fault string) {
	if len(fields) != len(columns) {
		hint := ""
		if slices.ContainsFunc(fields, func(field string) bool { return strings.Contains(field, "\r") }) {
			hint = "; it has CR within, perhaps as the end of lines: save the file with LF or CRLF"
		}
		return parsed, fmt.Sprintf("%d fields, not %d%s", len(fields), len(columns), hint)
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
	date, err := parseInvoiceDate(fields[4], dates)
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
	var refusal *cart.Refusal
	if err := item.Validate(); errors.As(err, &refusal) {
		return parsed, refusal.Rule.Error()
	}
	customer, err := parseCustomer(fields[6])
	if err != nil {
		return parsed, err.Error()
	}
	return orderLine{item: item, date: date, customer: customer}, ""
}

// parseInvoiceDate parses a date in one of the two forms of Online Retail files. They have
// no time zone; the date is taken as UTC. The first instant of the year 1 is no date, since it
// is the one that stands for the time of the import.
func parseInvoiceDate(text string, dates dateOrder) (time.Time, error) {
	layout, form := time.DateTime, "2010-12-01 08:26:00"
	if strings.Contains(text, "/") {
		if layout, form = dates.layout(), "12/1/2010 8:26"; layout == "" {
			return time.Time{}, fmt.Errorf("invoice date %s: it does not say whether the day or the month is first; import with -dates dmy or mdy", short(text))
		}
		if strings.Count(text, ":") > 1 {
			layout += ":05"
		}
	}
	t, err := time.Parse(layout, text)
	if err != nil || strings.Contains(text, ".") || t.IsZero() || t.Year() < 1 {
		return time.Time{}, fmt.Errorf("invoice date %s: not a date such as %s", short(text), form)
	}
	return t, nil
}

// short quotes a text for a report, cut if it is long.
func short(text string) string {
	const most = 100
	if len(text) <= most {
		return strconv.Quote(text)
	}
	return fmt.Sprintf("%q… (%d bytes)", text[:most], len(text))
}

// maxCustomer is the limit of a customer's number, in bytes.
const maxCustomer = 100

// parseCustomer returns the customer's number without the ".0" that spreadsheets add. It
// returns "" for 0, which stands for unknown.
func parseCustomer(text string) (string, error) {
	number := strings.TrimSuffix(text, ".0")
	switch {
	case number == "0":
		return "", nil
	case len(number) > maxCustomer || strings.ContainsFunc(number, unicode.IsControl):
		return "", fmt.Errorf("CustomerID %s: not at most %d printable bytes", short(number), maxCustomer)
	}
	return number, nil
}
