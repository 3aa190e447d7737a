package main

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCSVRecords_ResumeAtTheNextLine(t *testing.T) {
	for _, bad := range []string{
		`1,"not closed`, `1,"closed" badly,2`, `1,bare " quote`, `1,"`, `"`, `1,""",2`,
		`1,"` + strings.Repeat("x", maxRecord+1),
	} {
		records := newCSVRecords([]byte("a,b\n" + bad + "\nc,\"d\ne\"\r\n\r\nf,\"\"\"g\"\"\""))
		type result struct {
			text  string
			line  int
			fault bool
		}
		var got []result
		for {
			fields, line, fault, ok := records.next()
			if !ok {
				break
			}
			got = append(got, result{strings.Join(fields, "|"), line, fault != ""})
		}
		require.Equal(t, []result{{"a|b", 1, false}, {"", 2, true}, {"c|d\ne", 3, false}, {`f|"g"`, 6, false}}, got, bad)
	}
}

func TestCSVRecords_BoundsWhatAQuoteTakes(t *testing.T) {
	data := strings.Repeat("\"\n", 1) + strings.Repeat("a,b\n", maxRecord)
	records, faults := newCSVRecords([]byte(data)), 0
	for {
		_, _, fault, ok := records.next()
		if !ok {
			break
		}
		if fault != "" {
			faults++
		}
	}
	require.Equal(t, 1, faults)
}

// FuzzOrderBook checks that no file makes the reader panic, that every row is either a
// line of an invoice or malformed, and that files which encoding/csv can read have the
// same records.
func FuzzOrderBook(f *testing.F) {
	for _, data := range []string{
		header, mixedOrders, "\ufeff" + header, header + "\"", "a,\"b\n\nc\",d\r\n\r\ne", "a\r", "a\r\r\n", "\r\n\r", "\"a\r\nb\"\r",
	} {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if book, err := parseOrderBook(t.Context(), data, "mdy"); err == nil {
			lines := book.malformed.n
			for _, invoice := range book.invoices {
				lines += len(invoice.lines)
			}
			require.Equal(t, book.rows, lines)
		}
		reader := csv.NewReader(bytes.NewReader(data))
		reader.FieldsPerRecord = -1
		want, err := reader.ReadAll()
		if err != nil || len(data) > maxRecord || bytes.HasPrefix(data, []byte("\ufeff")) {
			return
		}
		var got [][]string
		for records := newCSVRecords(data); ; {
			fields, _, fault, ok := records.next()
			if !ok {
				break
			}
			require.Empty(t, fault)
			got = append(got, fields)
		}
		require.Equal(t, want, got)
	})
}
