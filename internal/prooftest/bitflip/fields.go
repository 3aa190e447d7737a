package bitflip

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/prooftest/layout"
)

// field is a field of a record in the file.
type field struct {
	name         string
	offset, size int
}

// recordBytes is more than the bytes of a target's record.
const recordBytes = 400

// fieldsOf finds the fields of an event by their bytes: the payload, which is unique, in
// a leaf of the log, and the other fields near it. It does not depend on the order of
// the fields in a record.
func fieldsOf(content []byte, pages []layout.Page, e *eventstore.Event, key string) ([]field, error) {
	payload := -1
	for _, p := range pages {
		if p.Role != "log leaf" {
			continue
		}
		if i := bytes.Index(content[p.Offset:][:p.Size], e.Data); i >= 0 {
			payload = p.Offset + i
		}
	}
	if payload < 0 {
		return nil, fmt.Errorf("the payload of position %d is not in the log", e.Position)
	}
	recorded := binary.BigEndian.AppendUint64(nil, uint64(e.Recorded.UnixNano()))
	fields := []field{{"payload", payload, len(e.Data)}, {"bytes after the payload", payload + len(e.Data), 4}}
	for _, f := range []struct {
		name  string
		bytes []byte
	}{
		{"stream", []byte(e.Stream)}, {"type", []byte(e.Type)}, {"tag", []byte(e.Tags[0])}, {"key", []byte(key)},
		{"metadata", []byte(e.Metadata["teller"])}, {"recorded time", recorded}, {"id", e.ID[:]},
		{"version", binary.BigEndian.AppendUint64(nil, uint64(e.Version))}, {"codec", []byte(e.Codec)},
	} {
		if at := nearest(content, payload, f.bytes); len(f.bytes) > 0 && at >= 0 {
			fields = append(fields, field{f.name, at, len(f.bytes)})
		} else if f.name != "key" && f.name != "version" {
			return nil, fmt.Errorf("the %s of position %d is not near its payload", f.name, e.Position)
		}
	}
	return fields, nil
}

// nearest returns the offset of bytes before the payload, as near as can be, or -1.
func nearest(content []byte, payload int, b []byte) int {
	from := max(0, payload-recordBytes)
	at := bytes.LastIndex(content[from:payload], b)
	if at < 0 {
		return -1
	}
	return from + at
}
