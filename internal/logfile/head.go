package logfile

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/record"
)

// # The head, and writes that were lost
//
// Problem. A disk may lose a write, or put it into another place, and report success. The
// place then holds older content, which is whole: each checksum in it is right. An older
// page at the end of the log would look like a shorter log.
//
// Invariant. What the file holds at Open is the state that the newest transaction left, or
// Open says that it is not.
//
// Steps. Each transaction writes the head into the file's description: the last position,
// the running checksum there (record.Chain), and the number of the transaction. The
// description lies in the root page, which every transaction writes anyway. The number must
// be that of the newest meta page, or the root page is an older one. The log must end with
// the position and running checksum of the head, or a page of its end is an older one. Verify
// follows the running checksum over the whole log. Older pages in the middle of the log show
// to every reader as missing positions.
//
// Limits. If all pages of a transaction are lost, with its meta page, the file holds the state
// before it, whole. While the file is open, disk.transact notices.

// Head is the end of a log.
type Head struct {
	Position eventstore.Position // of the last record; 0: the log is empty
	Chain    record.Chain        // up to it
}

// HeadKey is a key of StoreBucket. Its value is the position (8 bytes), the running
// checksum (4), the number of the transaction that wrote it (8), and a CRC32C.
const (
	HeadKey  = "head"
	headSize = 20 // without the checksum
)

// PutHead writes the head of the log. Each transaction does, also one that does not change
// the log.
func PutHead(tx *pages.WriteTx, seed record.Seed, h Head) error {
	value := binary.BigEndian.AppendUint64(make([]byte, 0, headSize+ChecksumSize), uint64(h.Position))
	value = binary.BigEndian.AppendUint32(value, uint32(h.Chain))
	value = binary.BigEndian.AppendUint64(value, uint64(tx.ID()))
	value = binary.BigEndian.AppendUint32(value, seed.Sum([]byte(HeadKey), value))
	return tx.Bucket(StoreBucket).Put([]byte(HeadKey), value)
}

// ReadHead returns the head that the description says, and the number of the transaction
// that wrote it; ok is false if it is missing or damaged.
func ReadHead(tx *pages.Tx, seed record.Seed) (h Head, by uint64, ok bool) {
	return ParseHead(tx.Bucket(StoreBucket).Get([]byte(HeadKey)), seed)
}

// ParseHead is ReadHead for the value under HeadKey in the description.
func ParseHead(value []byte, seed record.Seed) (h Head, by uint64, ok bool) {
	if len(value) != headSize+ChecksumSize || ChecksumAt(value) != seed.Sum([]byte(HeadKey), value[:headSize]) {
		return Head{}, 0, false
	}
	h = Head{Position: eventstore.Position(binary.BigEndian.Uint64(value)), Chain: record.Chain(binary.BigEndian.Uint32(value[8:]))}
	return h, binary.BigEndian.Uint64(value[12:]), true
}

// End is the head of a log as LoadHead finds it.
type End struct {
	Head
	Recorded time.Time // the time of the last record that can be read; zero: there is none
	Warning  string    // damage with which the log can be used; "": none
}

// LoadHead returns the end of the log. The error matches ErrCorrupt if the log does not end
// as it should; then its Position is the one to which a reader may read, and 0 if the log must
// not be read. If only the head in the description is damaged, there is a Warning, and the end is
// that of the log itself.
func LoadHead(tx *pages.Tx, seed record.Seed) (End, error) {
	said, by, ok := ReadHead(tx, seed)
	last, err := lastRecord(tx.Bucket(LogBucket), seed)
	switch {
	case !ok:
		last.Warning = "the head in the file's description is damaged; the log was taken to end where its last page ends"
		return last, err
	case by != uint64(tx.ID()): // what it leads to is the log of an earlier moment
		return End{}, fmt.Errorf("%w: the root page is of transaction %d, and the newest is %d: a write to the disk was lost",
			eventstore.ErrCorrupt, by, tx.ID())
	case err == nil && said.Position != last.Position:
		err = fmt.Errorf("%w: the log ends at position %d, and should end at %d: a write to the disk was lost",
			eventstore.ErrCorrupt, last.Position, said.Position)
	case err == nil && said.Chain != last.Chain:
		err = &eventstore.CorruptError{Position: said.Position, Reason: fmt.Sprintf(
			"the running checksum is %08x, and should be %08x: an older record has come back", last.Chain, said.Chain)}
	}
	last.Head = said
	return last, err
}

// lastRecord returns the end of the log according to its last records. If these are damaged,
// it returns the error of the first one found, and a position that a reader can use: that of
// the last key, if the damaged records can reach that far, otherwise that of the last whole
// record.
func lastRecord(log *pages.Tree, seed record.Seed) (end End, err error) {
	cursor := log.Cursor()
	key, value := cursor.Last()
	last, isPosition := record.ParseKey(key)
	damaged := eventstore.Position(0) // the most records that follow the last whole one
	var open []record.Record          // the last records, of a commit that Salvage has cut, the last one first
	for ; key != nil; key, value = cursor.Prev() {
		v, damage := ParseValue(key, value)
		if damage != nil {
			damaged += record.MaxPacked
			err = cmp.Or(err, damage)
			continue
		}
		for p := v.Last; v.Has(p); p-- {
			r, damage := record.DecodeIdentity(seed, p, v.At(p))
			if damage != nil {
				damaged++
				err = cmp.Or(err, damage)
				continue
			}
			if open = append(open, r); r.Last() || err != nil {
				return endOf(open, last, isPosition && last <= open[0].Event.Position+damaged, err), err
			}
		}
	}
	return endOf(open, last, isPosition && last <= damaged, err), err
}

// endOf returns the end of a log with these last records, the last one first. They begin with
// the log or with the end of a commit. With an error, the end is at last if it reaches.
func endOf(open []record.Record, last eventstore.Position, reaches bool, err error) (end End) {
	for _, r := range slices.Backward(open) {
		if r.Last() {
			end.Chain = r.Before
		}
		end.Chain = r.Chain(end.Chain)
	}
	if len(open) > 0 {
		end.Position, end.Recorded = open[0].Event.Position, open[0].Event.Recorded
	}
	if err != nil && reaches {
		end.Position = last
	}
	return end
}
