package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/examples/cart/cart"
)

const header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"

// orderRow returns a line of an order book.
func orderRow(invoice, sku, quantity, price string) string {
	return invoice + "," + sku + ",Thing " + sku + "," + quantity + ",2010-12-01 08:26:00," + price + ",17850.0,United Kingdom\n"
}

// write writes a file and returns its path.
func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "orders.csv")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// mixedOrders has 15 rows of all kinds. The import accepts 6 of them.
var mixedOrders = strings.Join([]string{
	"\ufeff" + strings.TrimSuffix(header, "\n") + "\r\n", // line 1
	orderRow("1", "a", "2", "2.55"),
	`1,b,"Tray, ""big""` + "\n\n" + `and wide",3,2010-12-01 08:26:00,1.5,0.0,"EIRE"` + "\r\n", // lines 3 to 5
	orderRow("2", "a", "1", "0.001"),
	"\n",
	orderRow("C3", "a", "-1", "2.55"),  // line 8: a credit note
	orderRow("3", "", "1", "1"),        // line 9
	orderRow("3", "a", "1", "0.0"),     // line 10
	"3,a,too few\n",                    // line 11
	"3,a,\"never closed,1,1,1,1,1\n",   // line 12
	`3,a,7" wide,1,1,1,1,1` + "\n",     // line 13
	orderRow("1", "a", "4", "3.00"),    // line 14: the same invoice again, the same item at another price
	orderRow("4", "a", "one", "1"),     // line 15
	orderRow("4", "a", "1", "1.2345"),  // line 16
	orderRow("1", "a", "1", "2.550"),   // line 17
	orderRow("5", "\xff", "1", "2.55"), // line 18
	strings.TrimSuffix(orderRow("2", "c", "1", "9223372036854000.000"), "\n"),
}, "")

func TestImport(t *testing.T) {
	c := newCLI(t)
	path := write(t, mixedOrders)
	status, stdout, stderr := c.run("import", path)
	require.Equal(t, "rows 15 accepted 6 rejected 9 carts 2 pieces 12 revenue 9223372036854024.151\nrepeated 0\n", stdout)
	require.Zero(t, status)
	reports := []string{
		`9: malformed: InvoiceNo or StockCode is empty`,
		`11: malformed: 3 fields, not 8`,
		`12: malformed: extraneous or missing " in quoted-field`,
		`13: malformed: bare " in non-quoted-field`,
		`15: malformed: quantity "one": not a whole number`,
		`16: malformed: unit price "1.2345": not an amount such as 2.55: more than 3 decimals`,
		`18: malformed: StockCode is not UTF-8`,
	}
	require.Equal(t, path+":"+strings.Join(reports, "\n"+path+":")+`
rejected 7: malformed
rejected 1: the quantity must be above zero
rejected 1: the unit price must be above zero
`, stderr)

	log := streams(t, c.db)
	require.Len(t, log, 2)
	require.Equal(t, []string{
		`cart.item-added {"sku":"a","description":"Thing a","quantity":2,"unitPrice":"2.550"} 1/2`,
		`cart.item-added {"sku":"b","description":"Tray, \"big\"\n\nand wide","quantity":3,"unitPrice":"1.500"} 1/3`,
		`cart.item-added {"sku":"a","description":"Thing a","quantity":4,"unitPrice":"3.000"} 1/14`,
		`cart.item-added {"sku":"a","description":"Thing a","quantity":1,"unitPrice":"2.550"} 1/17`,
		`cart.checked-out {"pieces":10,"total":"24.150"} 1/checkout`,
	}, log["cart-1"])
	require.Len(t, log["cart-2"], 3)
	require.Contains(t, c.ok("show", "1"), `Tray, "big" and wide`)

	event := readLog(t, c.db)[0]
	require.Equal(t, time.Date(2010, 12, 1, 8, 26, 0, 0, time.UTC), event.Time)
	for _, event := range readLog(t, c.db) {
		if event.Metadata.CommandID() == "1/2" {
			require.Equal(t, "customer 17850", event.Metadata.Actor())
		}
		if event.Metadata.CommandID() == "1/3" {
			require.Empty(t, event.Metadata.Actor())
		}
	}

	before := readLog(t, c.db)
	_, stdout, again := c.run("import", path)
	require.Equal(t, "rows 15 accepted 6 rejected 9 carts 2 pieces 12 revenue 9223372036854024.151\nrepeated 6\n", stdout)
	require.Equal(t, stderr, again)
	require.Equal(t, before, readLog(t, c.db))
}

// streams returns the content of each stream, without what differs between two imports of
// the same file.
func streams(t *testing.T, path string) map[string][]string {
	t.Helper()
	log := make(map[string][]string)
	for _, event := range readLog(t, path) {
		stream := string(event.Stream)
		require.EqualValues(t, len(log[stream])+1, event.Version)
		log[stream] = append(log[stream], fmt.Sprintf("%s %s %s", event.Type, event.Data, event.Metadata.CommandID()))
	}
	return log
}

func TestImport_NotTheFormat(t *testing.T) {
	c := newCLI(t)
	for _, content := range []string{
		"", "\n\n", "\xff\xfeI\x00", strings.ToLower(header), strings.ReplaceAll(header, ",", ";"), strings.ReplaceAll(header+orderRow("1", "a", "2", "1"), "\n", "\r"), strings.Replace(header, ",Country", "", 1), orderRow("1", "a", "2", "2.55"), "\"" + header,
	} {
		require.Contains(t, c.fails(1, "import", write(t, content)), "not in the Online Retail format")
	}
	require.Equal(t, "rows 0 accepted 0 rejected 0 carts 0 pieces 0 revenue 0.000\nrepeated 0\n", c.ok("import", write(t, header)))
}

func TestImport_CartsChangedMeanwhile(t *testing.T) {
	c := newCLI(t)
	c.ok("add", "1", "x", "1", "1")
	c.ok("checkout", "1")
	c.ok("add", "2", "x", "1", "1")
	status, stdout, stderr := c.run("import", write(t, header+orderRow("1", "a", "1", "1")+orderRow("2", "a", "1", "1")))
	require.Zero(t, status, stderr)
	require.Equal(t, "rows 2 accepted 1 rejected 1 carts 1 pieces 1 revenue 1.000\nrepeated 0\n", stdout)
	require.Equal(t, "rejected 1: the cart is checked out\n", stderr)
	require.Contains(t, c.ok("show", "2"), "checked out: 2 pieces")
}

func TestImport_CartsThatWereEmptiedMeanwhile(t *testing.T) {
	c := newCLI(t)
	first := header + orderRow("1", "a", "1", "1")
	path := write(t, first+orderRow("2", "a", "1", "1"))
	require.Error(t, importSome(t, c.db, write(t, first), 1, func(cancel context.CancelFunc) error { cancel(); return nil }))
	c.ok("remove", "1", "a")
	status, stdout, stderr := c.run("import", path)
	require.Zero(t, status, stderr)
	require.Equal(t, "rows 2 accepted 2 rejected 0 carts 1 pieces 2 revenue 2.000\nrepeated 1\n", stdout)
	require.Equal(t, "not checked out 1: the cart is empty\n", stderr)
}

func TestImport_SumsHaveNoLimit(t *testing.T) {
	c := newCLI(t)
	row := func(invoice string) string { return orderRow(invoice, "a", "9223372036854775807", "0.001") }
	status, stdout, stderr := c.run("import", write(t, header+row("1")+row("2")+row("2")))
	require.Zero(t, status)
	require.Equal(t, "rows 3 accepted 2 rejected 1 carts 2 pieces 18446744073709551614 revenue 18446744073709551.614\nrepeated 0\n", stdout)
	require.Equal(t, "rejected 1: the cart would hold more than can be counted\n", stderr)
	require.Contains(t, c.ok("top"), "9,223,372,036,854,775,807 9,223,372,036,854,775.807  (at least) Thing a")
}

// TestImport_OtherContent imports an invoice again with other content. What is reported is
// what the log holds.
func TestImport_OtherContent(t *testing.T) {
	c := newCLI(t)
	first := header + orderRow("1", "a", "2", "2.55") + orderRow("1", "b", "3", "3.00") + orderRow("1", "c", "1", "2.20")
	require.Equal(t, "rows 3 accepted 3 rejected 0 carts 1 pieces 6 revenue 16.300\nrepeated 0\n", c.ok("import", write(t, first)))
	other := header + orderRow("1", "a", "2", "2.55") + orderRow("1", "b", "500", "3.00") + orderRow("1", "d", "1", "2.20")
	path := write(t, other)
	for range 2 {
		status, stdout, stderr := c.run("import", path)
		require.Zero(t, status)
		require.Equal(t, "rows 3 accepted 1 rejected 2 carts 1 pieces 2 revenue 5.100\nrepeated 1\n", stdout)
		require.Equal(t, path+`:3: rejected: its command id was used for another command ("1/3", at position 2)
`+path+`:4: rejected: its command id was used for another command ("1/4", at position 3)
rejected 2: its command id was used for another command
`, stderr)
	}
	require.Len(t, c.log(), 4)
	path = write(t, strings.ReplaceAll(strings.Replace(first, "2010-12-01", "2010-12-02", 1), "Thing c,1,2010-12-01 08:26:00,2.20,17850", "Thing c,1,2010-12-01 08:26:00,2.20,17851"))
	status, stdout, stderr := c.run("import", path)
	require.Zero(t, status)
	require.Equal(t, "rows 3 accepted 1 rejected 2 carts 1 pieces 3 revenue 9.000\nrepeated 1\n", stdout)
	require.Equal(t, path+":2: rejected: it was imported before with another date or customer\n"+
		path+":4: rejected: it was imported before with another date or customer\n"+
		"rejected 2: it was imported before with another date or customer\n", stderr)
}

// TestImport_LinesThatTheLogCannotHold has lines beyond the limits of the store, and dates
// that are none. Each is rejected with its number, and the others are imported.
func TestImport_LinesThatTheLogCannotHold(t *testing.T) {
	c := newCLI(t)
	row := func(invoice, date, customer string) string {
		return invoice + ",a,Thing,1," + date + ",1," + customer + ",United Kingdom\n"
	}
	long := strings.Repeat("1", 60_000)
	path := write(t, header+
		row("1", "2010-12-01 08:26:00", "1.0")+
		row("2", "0000-12-01 08:26:00", "1")+
		row("3", "0001-01-01 00:00:00", "1")+
		row("4", "2010-12-01 08:26:00", long)+
		row("5", "1/12/2010 8:26", "1")+
		row(long, "2010-12-01 08:26:00", "1")+
		row("yore", "2010-12-01 08:26:00", "")+
		row("a/b", "9999-12-31 23:59:59", "0")+
		"6,"+long+",x,1,2010-12-01 08:26:00,1,1,\n"+
		"6,a,"+long+",1,2010-12-01 08:26:00,1,1,\n"+
		"6,a,x,"+long+",2010-12-01 08:26:00,1,1,\n"+
		"6,a,x,1,"+long+",1,1,\n"+
		"6,a,x,1,2010-12-01 08:26:00,1,"+long+long+",\n"+
		"6,a,x,1,2010-12-01 08:26:00.5,1,1,\n"+
		"6,a,x\r6,a\r,1,2010-12-01 08:26:00,1,1,\n")
	status, stdout, stderr := c.run("import", path)
	require.Zero(t, status, stderr)
	require.Equal(t, "rows 15 accepted 3 rejected 12 carts 3 pieces 3 revenue 3.000\nrepeated 0\n", stdout)
	for _, report := range []string{
		`:3: malformed: invoice date "0000-12-01 08:26:00": not a date`,
		`:4: malformed: invoice date "0001-01-01 00:00:00": not a date`,
		`:5: malformed: CustomerID "1111`,
		`:6: malformed: invoice date "1/12/2010 8:26": it does not say whether the day or the month is first; import with -dates dmy or mdy`,
		":7: malformed: the names of carts and items are 1 to 100 bytes",
		":10: malformed: the names of carts and items are 1 to 100 bytes",
		":11: malformed: descriptions are at most 1000 bytes",
		`:12: malformed: quantity "1111`,
		`:13: malformed: invoice date "1111`,
		`:14: malformed: 120032 bytes, more than 65536`,
		`:15: malformed: invoice date "2010-12-01 08:26:00.5": not a date such as`,
		`:16: malformed: 9 fields, not 8; it has CR within`,
	} {
		require.Contains(t, stderr, path+report)
	}
	require.Less(t, len(stderr), 4_000)
	ids := make(map[string]int)
	for _, event := range c.log() {
		ids[event.Metadata.CommandID()]++
	}
	require.Equal(t, map[string]int{
		"1/2": 1, "1/checkout": 1, "%79ore/8": 1, "%79ore/checkout": 1, "a%2Fb/9": 1, "a%2Fb/checkout": 1,
	}, ids)
}

func TestImport_DatesWithSlashes(t *testing.T) {
	for order, want := range map[string]time.Time{
		"dmy": time.Date(2010, 12, 1, 8, 26, 0, 0, time.UTC),
		"mdy": time.Date(2010, 1, 12, 8, 26, 0, 0, time.UTC),
	} {
		c := newCLI(t)
		path := write(t, header+"1,a,Thing,1,1/12/2010 8:26,1,1,\n1,c,Thing,1,1/12/2010 08:26:00,1,1,\n1,b,Thing,1,2010-12-01 08:26:00,1,1,\n")
		require.Contains(t, c.ok("import", "-dates", order, path), "rows 3 accepted 3 ")
		require.Equal(t, want, c.log()[0].Time)
		require.Equal(t, want, c.log()[1].Time)
		require.Equal(t, time.Date(2010, 12, 1, 8, 26, 0, 0, time.UTC), c.log()[2].Time)
		require.Contains(t, c.fails(1, "import", "-dates", "ymd", path), `-dates "ymd": neither dmy nor mdy`)
	}
}

// TestImport_Garbage imports many malformed lines: the first are reported, the others counted.
func TestImport_Garbage(t *testing.T) {
	c := newCLI(t)
	const lines = 200_000
	path := write(t, header+orderRow("1", "a", "1", "1")+strings.Repeat("x\"y,z\n", lines/2)+strings.Repeat("garbage\n", lines/2))
	status, stdout, stderr := c.run("import", path)
	require.Zero(t, status)
	require.Equal(t, fmt.Sprintf("rows %d accepted 1 rejected %d carts 1 pieces 1 revenue 1.000\nrepeated 0\n", lines+1, lines), stdout)
	require.Equal(t, maxReports, strings.Count(stderr, ": malformed: "))
	require.Contains(t, stderr, fmt.Sprintf("%s: and %d more\nrejected %d: malformed\n", path, lines-maxReports, lines))
}

// manyOrders returns an order book with n invoices of one to five lines.
func manyOrders(invoices int) string {
	var book strings.Builder
	book.WriteString(header)
	for i := range invoices {
		for line := range i%5 + 1 {
			book.WriteString(orderRow(fmt.Sprint(10_000+i), fmt.Sprint("sku", line), fmt.Sprint(line), "1.25")) // the first is refused
		}
	}
	for i := range invoices / 10 {
		book.WriteString(orderRow(fmt.Sprint(10_000+10*i), "late", "7", "0.5"))
	}
	return book.String()
}

// TestImport_StoppedHalfWay stops imports and repeats them. The log is then the same as
// after one import.
func TestImport_StoppedHalfWay(t *testing.T) {
	path := write(t, manyOrders(200))
	whole := newCLI(t)
	_, want, _ := whole.run("import", path)
	for name, stop := range map[string]func(cancel context.CancelFunc) error{
		"cancelled": func(cancel context.CancelFunc) error { cancel(); return nil },
		"full disk": func(context.CancelFunc) error { return errors.New("no space left on device") },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCLI(t)
			for _, commands := range []int{0, 100, 300} {
				err := importSome(t, c.db, path, commands, stop)
				require.Error(t, err)
				require.Less(t, len(readLog(t, c.db)), len(readLog(t, whole.db)))
			}
			status, stdout, _ := c.run("import", path)
			require.Zero(t, status)
			require.Equal(t, strings.Split(want, "\n")[0], strings.Split(stdout, "\n")[0])
			require.NotContains(t, stdout, "repeated 0\n")
			require.Equal(t, streams(t, whole.db), streams(t, c.db))
			requireReadModels(t, c.db)
		})
	}
}

// importSome imports the file, and calls stop after a number of commands.
func importSome(t *testing.T, db, path string, commands int, stop func(context.CancelFunc) error) error {
	t.Helper()
	book, err := readOrderBook(t.Context(), path, "")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	return withShop(ctx, &environment{db: db, stderr: t.Output()}, func(s *shop) error {
		permits := make(chan struct{}, commands)
		for range commands {
			permits <- struct{}{}
		}
		limited := func(ctx context.Context, cmd cart.Command) (result, error) {
			select {
			case <-permits:
			default:
				if err := stop(cancel); err != nil {
					return result{}, err
				}
			}
			return s.dispatch(ctx, cmd)
		}
		return newImporter(s.store, limited, book).run(ctx, book.invoices)
	})
}

func TestImport_SaysWhatWasDoneWhenStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := newCLI(t)
	var out, errs bytes.Buffer
	e := &environment{db: c.db, out: &printer{w: &out}, stderr: &errs}
	err := importFile(ctx, e, write(t, manyOrders(5)), "")
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "import stopped: context canceled; until then: rows 15 accepted 0 rejected 0 carts 0 pieces 0 revenue 0.000")
	require.Empty(t, out.String())
	require.Empty(t, c.log())
}

// TestImport_RealOrders imports a sample of the "Online Retail" data set.
func TestImport_RealOrders(t *testing.T) {
	const path = "../../../shared/data/online_retail_sample.csv"
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the sample of the Online Retail data set is not here: %v", err)
	}
	c := newCLI(t)
	for _, repeated := range []string{"0", "4114"} {
		status, stdout, stderr := c.run("import", path)
		require.Zero(t, status)
		require.Equal(t, "rows 4792 accepted 4114 rejected 678 carts 1432 pieces 195685 revenue 374274.391\nrepeated "+repeated+"\n", stdout)
		require.Equal(t, "rejected 520: the quantity must be above zero\nrejected 158: the unit price must be above zero\n", stderr)
	}
	require.Len(t, readLog(t, c.db), 4114+1432)
	requireReadModels(t, c.db)
	require.Contains(t, c.ok("top"), "   1. 23843                80,995          168,469.600  PAPER CRAFT , LITTLE BIRDIE\n")

	var pieces int64
	var revenue cart.Money
	for _, event := range readLog(t, c.db) {
		if event.Type == "cart.checked-out" {
			var e cart.CartCheckedOut
			require.NoError(t, json.Unmarshal(event.Data, &e))
			pieces, revenue = pieces+e.Pieces, revenue+e.Total
		}
	}
	require.EqualValues(t, 195685, pieces)
	require.Equal(t, "374274.391", revenue.String())
}
