package projection

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/yore-es/yore/eventstore"
)

// What a projection skips is noted in the view itself, in tables that no
// declared one can be named like, so that it is committed with the position that
// goes past the event: a row for each one, and one that counts them.
const (
	skippedTable = "/skipped"
	countTable   = "/skipped-count"
)

var countKey = eventstore.RowKey{Table: countTable, Key: []byte{0}}

// noteSkipped notes that an event was skipped.
func noteSkipped(rows eventstore.RowTx, f Failure) error {
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
		return Failure{}, fmt.Errorf("what was skipped at position %d: %w", position, err)
	}
	return f, nil
}
