package rows_test

import (
	"fmt"
	"testing"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/rows"
)

// BenchmarkBuffer_SameRows reads a few rows and writes them, again and again, as
// most views do.
func BenchmarkBuffer_SameRows(b *testing.B) {
	buffer := rows.New(rows.New(plain{}))
	keys := make([]eventstore.RowKey, 64)
	for i := range keys {
		keys[i] = key("by-product", fmt.Sprintf("product-%04d", i))
	}
	value := make([]byte, 100)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		k := keys[i%len(keys)]
		if _, err := buffer.Get(k); err != nil {
			b.Fatal(err)
		}
		if err := buffer.Put(eventstore.Row{RowKey: k, Value: value}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBuffer_NewRows(b *testing.B) {
	value := make([]byte, 100)
	b.ReportAllocs()
	buffer := rows.New(plain{})
	for i := 0; b.Loop(); i++ {
		if i%65_536 == 0 {
			buffer = rows.New(plain{})
		}
		if err := buffer.Put(row("orders", fmt.Sprintf("%08d", i*7919%65_536), value)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBuffer_ScanOne puts a row and scans for one, in a buffer of many.
func BenchmarkBuffer_ScanOne(b *testing.B) {
	buffer := rows.New(plain{})
	for i := range 20_000 {
		_ = buffer.Put(row("orders", fmt.Sprintf("%08d", i), []byte("x")))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i < 100_000 {
			_ = buffer.Put(row("orders", fmt.Sprintf("%08d-", i*7919%20_000), []byte("x")))
		}
		for _, err := range buffer.Scan(eventstore.RowScan{Table: "orders", Backward: true, Limit: 1}) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkBuffer_Events has a buffer for each event, which reads and writes a row
// and is merged into a buffer for all.
func BenchmarkBuffer_Events(b *testing.B) {
	all := rows.New(rows.NewCache(plain{}, false))
	keys := make([]eventstore.RowKey, 1000)
	for i := range keys {
		keys[i] = key("by-product", fmt.Sprintf("product-%04d", i))
	}
	value := make([]byte, 100)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		tx := rows.New(all)
		k := keys[i%len(keys)]
		if _, err := tx.Get(k); err != nil {
			b.Fatal(err)
		}
		if err := tx.Put(eventstore.Row{RowKey: k, Value: value}); err != nil {
			b.Fatal(err)
		}
		tx.Close()
		if err := all.Merge(tx); err != nil {
			b.Fatal(err)
		}
	}
}
