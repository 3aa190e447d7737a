// Package record is the format of one event in the log, and of the values of the log
// bucket: a record by itself, under its position, or several in a pack.
//
// All integers of fixed size are big-endian; uvarint is that of encoding/binary.
// A name is its length in one byte and then its bytes.
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
// The position is not in the record, it follows from the key; but it is under the
// checksum, so that a record found at another's place is found out. A record
// holds all that is known of its event and commit: whatever else is in the file
// can be built from the records alone.
//
// A pack is what one transaction brought, or a part of it, under the position of its
// last record; the others are those of the positions just before.
//
//	offset  size  field
//	0       1     2, where a record has its format
//	1       1     records n, from 2 to 255
//	2       2·n   where each record ends, counted from the end of this table
//	2+2·n   …     the records, one behind another, to the end of the value
//
// What a pack has before its records needs no checksum: if it is wrong, so are the
// bytes or the position that are held to a record's own.
//
// The appending caller encodes ([Append]) before it is known where the event
// will be; the writer fills in version, time and checksum ([Seal]). Decoding
// checks everything and trusts nothing.
package record
