// Package record is the format of one event in the log, and of the values of the log
// bucket. A value is one record, under its position, or a pack of several.
//
// All integers of fixed size are big-endian; uvarint is that of encoding/binary. A
// name is its length in one byte and then its bytes.
//
//	offset  size  field
//	0       1     record format, 1
//	1       1     flags: 1 = the event has a time of its own, 2 = it holds its commit's key
//	2       8     version in the stream; 0 for an event in no stream
//	10      8     recorded, nanoseconds since 1970 UTC, signed
//	18      16    event id
//	34      4     bytes of payload, d
//	38      …     uvarint: place i in its commit, from 0
//	              uvarint: events n of its commit, 1 or more
//	              uvarint: schema version
//	              time of its own, with flag 1: seconds since 1970 UTC (8, signed), nanoseconds (4)
//	              name: stream, empty for an event in no stream
//	              name: type
//	              name: codec
//	              name: the commit's key, with flag 2, only where i = 0
//	              uvarint: tags, then a name for each
//	              uvarint: metadata entries, then for each, sorted by key:
//	                uvarint and bytes of the key, uvarint and bytes of the value
//	end-4-d d     payload
//	end-4   4     CRC32C (Castagnoli) of the position (8 bytes) and all bytes before
//
// The position is not in the record but in the key. The checksum covers it, so a
// record under the key of another position is found damaged. A record holds all that
// is known of its event and commit: everything else in the file can be rebuilt from
// the records.
//
// A pack has records of one transaction, under the position of the last one. The
// others have the positions just before.
//
//	offset  size  field
//	0       1     2, where a record has its format
//	1       1     records n, from 2 to 255
//	2       2·n   where each record ends, counted from the end of this table
//	2+2·n   …     the records, one after the other, to the end of the value
//
// The header of a pack needs no checksum: if it is wrong, a record is read from
// wrong bytes or at a wrong position, and the record's own checksum fails.
//
// The caller of an append encodes its records ([Append]) before their positions are
// known; the writer fills in version, time and checksum ([Seal]). Decoding checks
// every field.
package record
