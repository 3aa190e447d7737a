package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// cli runs the program on its own log.
type cli struct {
	t  *testing.T
	db string
}

func newCLI(t *testing.T) *cli {
	return &cli{t: t, db: filepath.Join(t.TempDir(), "shop.yore")}
}

// run runs the program with -db, and returns its status and output.
func (c *cli) run(args ...string) (status int, stdout, stderr string) {
	c.t.Helper()
	return runProgram(append([]string{"-db", c.db}, args...)...)
}

func runProgram(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(args, &out, &errs)
	return status, out.String(), errs.String()
}

// ok runs the program, which must succeed and print nothing to stderr.
func (c *cli) ok(args ...string) (stdout string) {
	c.t.Helper()
	status, stdout, stderr := c.run(args...)
	require.Empty(c.t, stderr)
	require.Zero(c.t, status)
	return stdout
}

// fails runs the program, which must end with the status, print the reason to stderr, and
// write nothing to the log and to stdout.
func (c *cli) fails(status int, args ...string) (stderr string) {
	c.t.Helper()
	before := c.log()
	got, stdout, stderr := c.run(args...)
	require.Equal(c.t, status, got, stderr)
	require.Empty(c.t, stdout)
	require.True(c.t, strings.HasPrefix(stderr, "cart: "), stderr)
	require.Equal(c.t, before, c.log())
	return stderr
}

// log returns the whole log; nil if there is no file.
func (c *cli) log() []eventstore.Event {
	c.t.Helper()
	if _, err := os.Stat(c.db); err != nil {
		require.ErrorIs(c.t, err, os.ErrNotExist)
		names, err := os.ReadDir(filepath.Dir(c.db))
		require.NoError(c.t, err)
		for _, name := range names {
			require.NotContains(c.t, name.Name(), "shop.yore", "something was left behind")
		}
		return nil
	}
	return readLog(c.t, c.db)
}

func readLog(t *testing.T, path string) []eventstore.Event {
	t.Helper()
	store, err := boltstore.Open(path, &boltstore.Options{ReadOnly: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	log := []eventstore.Event{}
	for event, err := range store.Read(t.Context(), eventstore.All(), eventstore.ReadOptions{}) {
		require.NoError(t, err)
		log = append(log, event)
	}
	return log
}

func TestCLI_OneCart(t *testing.T) {
	c := newCLI(t)
	require.Equal(t, `cart-ann/1  cart.item-added  2 x 85123A at 2.550  White hanging heart
cart ann, open: 2 pieces, 5.100
       2 x 85123A       at      2.550 =        5.100  White hanging heart
`, c.ok("add", "ann", "85123A", "2", "2.55", "White hanging heart"))
	c.ok("add", "ann", "71053", "1", "3.39")
	c.ok("add", "ann", "85123A", "3", "2")
	require.Contains(t, c.ok("set", "ann", "85123A", "1"), "cart ann, open: 2 pieces, 5.940\n")
	require.Contains(t, c.ok("set", "ann", "85123A", "1"), "nothing to do\n")
	require.Equal(t, `cart-ann/6  cart.item-removed  71053 at 3.390
cart ann, open: 1 piece, 2.550
       1 x 85123A       at      2.550 =        2.550  White hanging heart
`, c.ok("remove", "ann", "71053"))
	require.Contains(t, c.ok("checkout", "ann"), "cart-ann/7  cart.checked-out  1 piece for 2.550\n")

	require.Contains(t, c.ok("show", "ann"), "version 7\ncart ann, checked out: 1 piece, 2.550\n")
	require.Contains(t, c.ok("show", "-at", "3", "ann"), "version 3\ncart ann, open: 6 pieces, 14.490\n")
	require.Contains(t, c.ok("show", "ann", "-at=0"), "version 0\ncart ann, open: 0 pieces, 0.000\n")

	log := c.log()
	require.Len(t, log, 7)
	lines := strings.Split(strings.TrimSpace(c.ok("history", "ann")), "\n")
	require.Len(t, lines, 7)
	for i, line := range lines {
		require.Contains(t, line, log[i].Type)
		recorded := strings.Fields(line)[1]
		require.Contains(t, c.ok("show", "-as-of", recorded, "ann"), "version ")
		at, err := time.Parse(time.RFC3339Nano, recorded)
		require.NoError(t, err)
		require.True(t, at.Equal(log[i].Recorded))
	}
	require.Equal(t, `best sellers by pieces
      SKU                  PIECES              REVENUE  DESCRIPTION
   1. 85123A                    1                2.550  White hanging heart

best sellers by revenue
      SKU                  PIECES              REVENUE  DESCRIPTION
   1. 85123A                    1                2.550  White hanging heart
`, c.ok("top", "-n", "1"))
}

func TestCLI_AsOf(t *testing.T) {
	c := newCLI(t)
	c.ok("add", "ann", "85123A", "2", "2.55")
	c.ok("add", "ann", "85123A", "3", "2.55")
	first := c.log()[0].Recorded
	for when, version := range map[string]string{
		first.Format(time.RFC3339Nano):                                           "version 1\n",
		first.Local().Format("2006-01-02 15:04:05.000000000"):                    "version 1\n",
		first.Add(-time.Nanosecond).Format(time.RFC3339Nano):                     "version 0\n",
		first.Local().Format(time.DateOnly):                                      "version 2\n",
		first.Local().AddDate(0, 0, -1).Format(time.DateOnly):                    "version 0\n",
		first.Add(time.Hour).In(time.FixedZone("", 5*3600)).Format(time.RFC3339): "version 2\n",
	} {
		require.True(t, strings.HasPrefix(c.ok("show", "ann", "-as-of", when), version), when)
	}
}

func TestCLI_CommandID(t *testing.T) {
	c := newCLI(t)
	c.ok("add", "ann", "85123A", "2", "2.55", "-id", "first")
	require.Contains(t, c.ok("add", "-id", "first", "ann", "85123A", "2", "2.55"), "carried out before")
	c.ok("checkout", "ann", "-id", "order")
	require.Contains(t, c.ok("checkout", "ann", "-id", "order"), "carried out before")
	require.Len(t, c.log(), 2)
	require.Contains(t, c.fails(1, "checkout", "ann"), "the cart is checked out")
	require.Contains(t, c.fails(1, "add", "-id", "order", "bob", "85123A", "2", "2.55"), `command id "order" was used for another command`)
}

func TestCLI_BadInput(t *testing.T) {
	c := newCLI(t)
	csv := filepath.Join(t.TempDir(), "bad.csv")
	require.NoError(t, os.WriteFile(csv, []byte("Invoice,Stock\n1,2\n"), 0o600))
	check := func() {
		for want, args := range map[string]string{
			`cannot add -2 of item "x" at 2.550 to cart "ann": the quantity must be above zero`: "add ann x -2 2.55",
			`the quantity must be above zero`:              "add ann x 0 2.55",
			`the unit price must be above zero`:            "add ann x 2 -2.55",
			`quantity "two": not a whole number`:           "add ann x two 2.55",
			`quantity "2.0": not a whole number`:           "add ann x 2.0 2.55",
			`quantity "99999999999999999999": too large`:   "add ann x 99999999999999999999 2.55",
			`unit price "2.5555": not an amount`:           "add ann x 1 2.5555",
			`unit price "free": not an amount`:             "add ann x 1 free",
			`more than can be counted`:                     "add ann x 9223372036854775807 9223372036854775.807",
			`printable UTF-8`:                              "add ann x\n 1 1",
			`the item is not in the cart`:                  "set ann unknown 1",
			`cannot remove item "unknown" from cart "ann"`: "remove ann unknown",
			`the cart is empty`:                            "checkout nobody",
			`-n "0": not a whole number above zero`:        "top -n 0",
			`-n "ten": not a whole number above zero`:      "list -n ten",
			`-by "name": neither change nor total`:         "list -by name",
			`-at "-1": not a version`:                      "show ann -at -1",
			`-as-of "yesterday": not a time`:               "show ann -as-of yesterday",
			`is a directory`:                               "import " + filepath.Dir(csv),
			`nowhere.csv`:                                  "import nowhere.csv",
			`bad.csv: not in the Online Retail format`:     "import " + csv,
		} {
			require.Contains(t, c.fails(1, strings.Split(args, " ")...), want, args)
		}
	}
	check() // no file is made
	for _, args := range [][]string{{"show", "ann"}, {"show", "-at", "1", "ann"}, {"list"}, {"history", "ann"}, {"top"}} {
		require.Contains(t, c.fails(1, args...), "there is no log at")
	}
	c.ok("add", "ann", "85123A", "2", "2.55")
	check() // nothing is written
	require.Contains(t, c.fails(1, "show", "bob"), `there is no cart "bob"`)
	require.Contains(t, c.fails(1, "show", "bob", "-at", "0"), `there is no cart "bob"`)
	require.Contains(t, c.fails(1, "history", "bob"), `there is no cart "bob"`)
	require.Contains(t, c.fails(1, "show", "ann", "-at", "2"), `cart "ann" has no version 2; it is at version 1`)
}

func TestCLI_BadFile(t *testing.T) {
	c := newCLI(t)
	require.NoError(t, os.WriteFile(c.db, bytes.Repeat([]byte("not a log "), 10_000), 0o600))
	for _, args := range [][]string{{"add", "ann", "x", "1", "1"}, {"show", "ann"}, {"top"}} {
		status, stdout, stderr := c.run(args...)
		require.Equal(t, 1, status)
		require.Empty(t, stdout)
		require.Contains(t, stderr, "not a Yore log")
	}
	status, _, _ := runProgram("-db", filepath.Join(c.db, "below", "a", "file"), "add", "ann", "x", "1", "1")
	require.Equal(t, 1, status)
}

func TestCLI_LockedFile(t *testing.T) {
	c := newCLI(t)
	store, err := boltstore.Open(c.db, nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	for _, args := range [][]string{{"add", "ann", "x", "1", "1"}, {"show", "ann"}, {"top"}} {
		status, stdout, stderr := c.run(args...)
		require.Equal(t, 1, status)
		require.Empty(t, stdout)
		require.Contains(t, stderr, "locked")
	}
}

func TestCLI_WrongUsage(t *testing.T) {
	c := newCLI(t)
	for _, args := range []string{
		"sell", "add", "add ann x 1", "add ann x 1 1 text more", "set ann x", "remove ann", "checkout", "checkout a b",
		"show", "show ann -colour", "show ann -at", "show -at 1 -as-of 2011-12-09 ann", "history", "list ann", "list -by", "top 3", "import",
		"import a b", "-colour", "-db",
	} {
		stderr := c.fails(2, strings.Fields(args)...)
		require.Contains(t, stderr, "\nusage: cart ", args)
		require.Contains(t, stderr, " -h tells more\n", args)
	}
	for _, args := range [][]string{{"top"}, {"-db", c.db}, {"-db", "", "top"}, {"-x"}} {
		status, stdout, stderr := runProgram(args...)
		require.Equal(t, 2, status)
		require.Empty(t, stdout)
		require.Contains(t, stderr, "usage: ")
	}
}

func TestCLI_Help(t *testing.T) {
	for _, args := range []string{"-h", "--help", "-db x -h"} {
		status, stdout, stderr := runProgram(strings.Fields(args)...)
		require.Zero(t, status)
		require.Empty(t, stderr)
		for _, c := range subcommands() {
			require.Contains(t, stdout, c.summary)
		}
	}
	for _, c := range subcommands() {
		status, stdout, stderr := runProgram("-db", "x", c.name, "-h")
		require.Zero(t, status)
		require.Empty(t, stderr)
		require.Contains(t, stdout, "usage: cart -db FILE "+c.name+" "+c.synopsis+"\n")
		_, again, _ := runProgram(c.name, "a", "b", "-help")
		require.Equal(t, stdout, again)
	}
	require.NoFileExists(t, "x")
}

// TestCLI_ArgumentsThatLookLikeFlags passes arguments that begin with a dash.
func TestCLI_ArgumentsThatLookLikeFlags(t *testing.T) {
	c := newCLI(t)
	c.ok("add", "ann", "--", "-x", "1", "1")
	c.ok("set", "ann", "-db", c.db, "--", "-x", "2")
	require.Len(t, c.log(), 2)
}

// fullDisk is a writer that always fails.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestRun_OutputThatCannotBeWritten(t *testing.T) {
	var errs bytes.Buffer
	require.Equal(t, 1, run([]string{"-h"}, fullDisk{}, &errs))
	require.Contains(t, errs.String(), "file already closed")
}

// The read models of a log without events are empty.
func TestCLI_EmptyLog(t *testing.T) {
	c := newCLI(t)
	c.ok("import", write(t, header))
	require.Equal(t, "there are no carts yet\n", c.ok("list"))
	require.Contains(t, c.fails(1, "show", "ann"), `there is no cart "ann"`)
	require.Contains(t, c.ok("top"), "nothing was sold yet")
	requireReadModels(t, c.db)
}
