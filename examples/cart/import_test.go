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

	"github.com/yore-es/yore/eventstore"
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
		"", "\n\n", strings.ToLower(header), strings.Replace(header, ",Country", "", 1), orderRow("1", "a", "2", "2.55"), "\"" + header,
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
	path := write(t, header+orderRow("1", "a", "1", "1")+orderRow("2", "a", "1", "1"))
	c.ok("add", "-id", "1/2", "1", "a", "1", "1") // as an import that is killed then
	c.ok("remove", "1", "a")
	status, stdout, stderr := c.run("import", path)
	require.Zero(t, status, stderr)
	require.Equal(t, "rows 2 accepted 2 rejected 0 carts 1 pieces 2 revenue 2.000\nrepeated 1\n", stdout)
	require.Equal(t, "not checked out 1: the cart has been emptied\n", stderr)
}

func TestImport_SumsThatDoNotFit(t *testing.T) {
	c := newCLI(t)
	row := func(invoice string) string { return orderRow(invoice, "a", "1", "9223372036854775.807") }
	status, stdout, stderr := c.run("import", write(t, header+row("1")+row("2")))
	require.Equal(t, 1, status)
	require.Empty(t, stdout)
	require.Contains(t, stderr, "more than can be counted")
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
	book, err := readOrderBook(path)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	return withShop(ctx, &environment{db: db, stderr: t.Output()}, func(s *shop) error {
		permits := make(chan struct{}, commands)
		for range commands {
			permits <- struct{}{}
		}
		limited := func(ctx context.Context, cmd cart.Command) (cart.State, eventstore.Receipt, error) {
			select {
			case <-permits:
			default:
				if err := stop(cancel); err != nil {
					return cart.State{}, eventstore.Receipt{}, err
				}
			}
			return s.dispatch(ctx, cmd)
		}
		return newImporter(limited, book).run(ctx, book.invoices)
	})
}

func TestImport_SaysWhatWasDoneWhenStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := newCLI(t)
	var out, errs bytes.Buffer
	e := &environment{db: c.db, out: &printer{w: &out}, stderr: &errs}
	err := importFile(ctx, e, write(t, manyOrders(5)))
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
