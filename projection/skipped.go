package projection

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/yore-es/yore/eventstore"
)

// Skipped events are listed in the view itself, so that the list is committed with the
// position after the event: one table has a row for each event, another one the number of
// them. No declared table can have their names, which begin with a slash.
const (
	skippedTable = "/skipped"
	countTable   = "/skipped-count"
)

var countKey = eventstore.RowKey{Table: countTable, Key: []byte{0}}

// addSkipped adds an event to the list of skipped ones.
func addSkipped(rows eventstore.RowTx, f Failure) error {
	value, err := json.Marshal(f)
	if err != nil {
		return err
	}
	counted, err := rows.Get(countKey)
	if err != nil {
		return err
	}
	count := binary.BigEndian.AppendUint64(nil, readCount(counted[0])+1)
	return rows.Put(
		eventstore.Row{RowKey: countKey, Value: count},
		eventstore.Row{RowKey: eventstore.RowKey{Table: skippedTable, Key: appendKey(nil, uint64(f.Position))}, Value: value},
	)
}

func readCount(row eventstore.Row) uint64 {
	if len(row.Value) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(row.Value)
}

func readSkipped(row eventstore.Row) (f Failure, err error) {
	var position eventstore.Position
	_, keyErr := readKey(row.Key, &position)
	if err := errors.Join(keyErr, json.Unmarshal(row.Value, &f)); err != nil {
		return Failure{}, fmt.Errorf("row of the event skipped at position %d: %w", position, err)
	}
	return f, nil
}
