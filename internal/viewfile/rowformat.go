package viewfile

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/record"
)

// The format of rows and checkpoints; docs/reference/format.md draws it.
//
// The key of a row in its view's bucket is its table, NUL, and the row's key. A table holds
// no NUL, so the rows of two tables do not mix. The value is followed by a CRC32C over the
// store's id, the view, the length of that key in 8 bytes, the key and the value: a row that
// is moved to another key, table, view or store fails its checksum.

const (
	// NumberSize is the size of the number of a layer of changes, in bytes.
	NumberSize       = 8
	checkpointFormat = 2 // 1 had no generation
	flagFault        = 1 << 0
)

// View is a view of a store.
type View struct {
	ID    eventstore.ViewID
	store record.Seed // of the store's checksums
	seed  record.Seed // of the view's checksums
}

// Of returns the view with an id in the store with a seed.
func Of(seed record.Seed, id eventstore.ViewID) View {
	return View{ID: id, store: seed, seed: record.Seed(seed.Sum([]byte(id)))}
}

// rowKey returns the key of a row in its view's bucket.
func rowKey(table string, key []byte) []byte {
	return appendRowKey(make([]byte, 0, len(table)+1+len(key)), table, key)
}

func appendRowKey(dst []byte, table string, key []byte) []byte {
	dst = append(dst, table...)
	dst = append(dst, 0)
	return append(dst, key...)
}

// changeKey returns the key of a row in a layer of changes. It differs from the key of any
// row in the view's own bucket: the number is below 2^56, so the key begins with NUL.
func changeKey(layer uint64, table string, key []byte) []byte {
	k := make([]byte, 0, NumberSize+len(table)+1+len(key))
	return appendRowKey(binary.BigEndian.AppendUint64(k, layer), table, key)
}

// rowSum returns the checksum of the value under a key of a view.
func rowSum(view View, key, value []byte) uint32 {
	var size [8]byte
	binary.BigEndian.PutUint64(size[:], uint64(len(key)))
	return view.seed.Sum(size[:], key, value)
}

// sealRow returns the value as it is in the file under key, followed by its checksum.
func sealRow(view View, key, value []byte) []byte {
	sealed := make([]byte, 0, len(value)+logfile.ChecksumSize)
	sealed = append(sealed, value...)
	return binary.BigEndian.AppendUint32(sealed, rowSum(view, key, value))
}

// sealChange returns the change that a layer holds under key: it puts value, or deletes
// the row if value is nil.
func sealChange(view View, key, value []byte) []byte {
	sealed := make([]byte, 0, 1+len(value)+logfile.ChecksumSize)
	if value != nil {
		sealed = append(append(sealed, changePut), value...)
	}
	return binary.BigEndian.AppendUint32(sealed, rowSum(view, key, sealed))
}

// openRow checks what is in the file under key, and returns a copy of the value. The error
// matches ErrCorrupt.
func openRow(view View, key, sealed []byte) ([]byte, error) {
	own := append([]byte{}, sealed...)
	if err := checkRow(view, key, own); err != nil {
		return nil, err
	}
	return own[:len(own)-logfile.ChecksumSize], nil
}

// checkRow returns an error unless what is in the file under key is whole.
func checkRow(view View, key, sealed []byte) error {
	if len(sealed) < logfile.ChecksumSize {
		return corruptRow(view, key, "it is too short")
	}
	value, sum := sealed[:len(sealed)-logfile.ChecksumSize], logfile.ChecksumAt(sealed)
	if got := rowSum(view, key, value); got != sum {
		return corruptRow(view, key, fmt.Sprintf("checksum is %08x, the row has %08x", got, sum))
	}
	return nil
}

// corruptRow returns the error for a row of a view, or for a change of it.
func corruptRow(view View, key []byte, reason string) error {
	if len(key) > NumberSize && key[0] == 0 {
		key = key[NumberSize:]
	}
	table, name, _ := strings.Cut(string(key), "\x00")
	return fmt.Errorf("%w: view %q, table %q, key %q: %s", eventstore.ErrCorrupt, view.ID, table, name, reason)
}

// sealCheckpoint returns the checkpoint as it is in the file: format (1 byte), flags (1),
// generation (8), position (8), with flag 1 the fault (position 8, uvarint and bytes of the type, uvarint
// and bytes of the reason), the data, and a CRC32C like that of a row.
func sealCheckpoint(view View, c eventstore.Checkpoint, generation uint64) []byte {
	b := []byte{checkpointFormat, 0}
	b = binary.BigEndian.AppendUint64(b, generation)
	b = binary.BigEndian.AppendUint64(b, uint64(c.Position))
	if c.Fault != nil {
		b[1] |= flagFault
		b = binary.BigEndian.AppendUint64(b, uint64(c.Fault.Position))
		b = binary.AppendUvarint(b, uint64(len(c.Fault.Type)))
		b = append(b, c.Fault.Type...)
		b = binary.AppendUvarint(b, uint64(len(c.Fault.Reason)))
		b = append(b, c.Fault.Reason...)
	}
	b = append(b, c.Data...)
	return binary.BigEndian.AppendUint32(b, rowSum(view, nil, b))
}

// openCheckpoint checks and decodes a view's checkpoint and its generation. The error
// matches ErrCorrupt. The result shares no memory with sealed.
func openCheckpoint(view View, sealed []byte) (c eventstore.Checkpoint, generation uint64, err error) {
	b, err := openRow(view, nil, sealed)
	if err != nil {
		return eventstore.Checkpoint{}, 0, err
	}
	if len(b) < 18 || b[0] != checkpointFormat || b[1]&^flagFault != 0 {
		return eventstore.Checkpoint{}, 0, corruptCheckpoint(view)
	}
	generation = binary.BigEndian.Uint64(b[2:])
	c.Position = eventstore.Position(binary.BigEndian.Uint64(b[10:]))
	fault := b[1]&flagFault != 0
	b = b[18:]
	if fault {
		if len(b) < 8 {
			return eventstore.Checkpoint{}, 0, corruptCheckpoint(view)
		}
		c.Fault = &eventstore.Fault{Position: eventstore.Position(binary.BigEndian.Uint64(b))}
		var typeOK, reasonOK bool
		c.Fault.Type, b, typeOK = cutText(b[8:])
		c.Fault.Reason, b, reasonOK = cutText(b)
		if !typeOK || !reasonOK {
			return eventstore.Checkpoint{}, 0, corruptCheckpoint(view)
		}
	}
	if len(b) > 0 {
		c.Data = b
	}
	return c, generation, nil
}

// cutText cuts a text, which follows its length as a uvarint, from the front of b.
func cutText(b []byte) (text string, rest []byte, ok bool) {
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return "", nil, false
	}
	return string(b[n:][:size]), b[n:][size:], true
}

func corruptCheckpoint(view View) error {
	return fmt.Errorf("%w: checkpoint of view %q", eventstore.ErrCorrupt, view.ID)
}
