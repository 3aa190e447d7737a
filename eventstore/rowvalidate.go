package eventstore

import (
	"fmt"

	"github.com/yore-es/yore/internal/quote"
)

// faultReasonBytes bounds the Reason of a Fault.
const faultReasonBytes = 4 << 10

// ValidateView reports what makes a name one that no view can have: ErrInvalid
// or ErrTooLarge.
func (l Limits) ValidateView(view ViewID) error { return l.name("view", string(view)) }

// ValidateRowKey reports what makes a key one that no row can have: ErrInvalid
// or ErrTooLarge.
func (l Limits) ValidateRowKey(key RowKey) error {
	if err := l.name("table", key.Table); err != nil {
		return err
	}
	if len(key.Key) == 0 {
		return invalidf("table %s: the key of a row is empty", quote.Name(key.Table))
	}
	return atMost("bytes of a row's key", len(key.Key), l.RowKeyBytes)
}

// ValidateRow reports what makes a row one that no view can have: ErrInvalid or
// ErrTooLarge.
func (l Limits) ValidateRow(row Row) error {
	if err := l.ValidateRowKey(row.RowKey); err != nil {
		return err
	}
	return atMost("bytes of a row's value", len(row.Value), l.RowValueBytes)
}

// ValidateRowScan reports what makes a scan one that no store answers:
// ErrInvalid or ErrTooLarge. From and To may be of any length; To before From
// is a scan of nothing.
func (l Limits) ValidateRowScan(scan RowScan) error {
	if err := l.name("table", scan.Table); err != nil {
		return err
	}
	if scan.Limit < 0 {
		return invalidf("scan limit %d is negative", scan.Limit)
	}
	return nil
}

// ValidateRowCommit reports what makes a commit of rows one that no store
// accepts: ErrInvalid or ErrTooLarge, naming the part and the rule.
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

// ValidateInlineView reports what makes a view one that no store attaches:
// ErrInvalid or ErrTooLarge.
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
	if err := l.query(v.Query); err != nil {
		return fmt.Errorf("view %s: %w", quote.Name(string(v.View)), err)
	}
	return nil
}

func (l Limits) checkpoint(c Checkpoint) error {
	if c.IsZero() {
		return invalidf("the zero Checkpoint is that of a view that has none")
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
