package eventstore

import (
	"fmt"

	"github.com/yore-es/yore/internal/quote"
)

// faultReasonBytes bounds the Reason of a Fault.
const faultReasonBytes = 4 << 10

// ValidateView returns ErrInvalid or ErrTooLarge for a name that no view can have.
func (l Limits) ValidateView(view ViewID) error { return l.name("view", string(view)) }

// ValidateRowKey returns ErrInvalid or ErrTooLarge for a key that no row can have.
func (l Limits) ValidateRowKey(key RowKey) error {
	if err := l.name("table", key.Table); err != nil {
		return err
	}
	if len(key.Key) == 0 {
		return invalidf("table %s: the key of a row is empty", quote.Name(key.Table))
	}
	return atMost("bytes of a row's key", len(key.Key), l.RowKeyBytes)
}

// ValidateRow returns ErrInvalid or ErrTooLarge for a row that no view can have.
func (l Limits) ValidateRow(row Row) error {
	if err := l.ValidateRowKey(row.RowKey); err != nil {
		return err
	}
	return atMost("bytes of a row's value", len(row.Value), l.RowValueBytes)
}

// ValidateRowScan returns ErrInvalid or ErrTooLarge for a scan that every store refuses.
// From and To may have any length. A scan with To before From yields no rows and is
// valid.
func (l Limits) ValidateRowScan(scan RowScan) error {
	if err := l.name("table", scan.Table); err != nil {
		return err
	}
	if scan.Limit < 0 {
		return invalidf("scan limit %d is negative", scan.Limit)
	}
	return nil
}

// ValidateRowCommit returns ErrInvalid or ErrTooLarge for a commit of rows that every
// store refuses. The message names the part and the rule.
func (l Limits) ValidateRowCommit(c RowCommit) error {
	if err := l.ValidateView(c.View); err != nil {
		return err
	}
	if err := l.checkpoint(c.Checkpoint); err != nil {
		return fmt.Errorf("view %s: %w", quote.Name(string(c.View)), err)
	}
	if err := atMost("rows in a commit", len(c.Rows), l.RowsPerCommit); err != nil {
		return err
	}
	size := 0
	for i := range c.Rows {
		if err := l.ValidateRow(c.Rows[i]); err != nil {
			return fmt.Errorf("row %d: %w", i, err)
		}
		size += len(c.Rows[i].Key) + len(c.Rows[i].Value)
	}
	return atMost("bytes of keys and values in a commit", size, l.CommitBytes)
}

// ValidateInlineView returns ErrInvalid or ErrTooLarge for a view that no store attaches.
func (l Limits) ValidateInlineView(v InlineView) error {
	if err := l.ValidateView(v.View); err != nil {
		return err
	}
	if v.Apply == nil {
		return invalidf("view %s: Apply is nil", quote.Name(string(v.View)))
	}
	if v.Timeout < 0 {
		return invalidf("view %s: timeout %v is negative", quote.Name(string(v.View)), v.Timeout)
	}
	if _, err := l.query(v.Query); err != nil {
		return fmt.Errorf("view %s: %w", quote.Name(string(v.View)), err)
	}
	return nil
}

func (l Limits) checkpoint(c Checkpoint) error {
	if c.IsZero() {
		return invalidf("a view cannot be given the zero Checkpoint, which stands for none")
	}
	if c.Fault != nil {
		if err := atMost("bytes of a fault's type", len(c.Fault.Type), l.NameBytes); err != nil {
			return err
		}
		if err := atMost("bytes of a fault's reason", len(c.Fault.Reason), faultReasonBytes); err != nil {
			return err
		}
	}
	return atMost("bytes of a checkpoint's data", len(c.Data), l.CheckpointBytes)
}
