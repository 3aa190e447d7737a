// Package record is the format of one event in the log, and of the values of the log
// bucket. A value is one record, under its position, or a pack of several.
//
// All integers of fixed size are big-endian; uvarint is that of encoding/binary. A
// name is its length in one byte and then its bytes.
//
//	offset  size  field
//	0       1     record format, 3
//	1       1     flags: 1 = the event has a time of its own, 2 = the record has its commit's
//	              key, 4 = and its digest, 8 = it is the last of its commit
//	2       8     version in the stream; 0 for an event in no stream
//	10      8     recorded, nanoseconds since 1970 UTC, signed
//	18      16    event id
//	34      4     bytes of fields, f
//	38      f     uvarint: place i in its commit, from 0
//	              uvarint: events n of its commit, 1 or more
//	              uvarint: schema version
//	              time of its own, with flag 1: seconds since 1970 UTC (8, signed), nanoseconds (4)
//	              name: stream, empty for an event in no stream
//	              name: type
//	              name: codec
//	              name: the commit's key, with flag 2, only where i = 0
//	              name: the commit's digest, with flag 4, only where a key is
//	              uvarint: tags, then a name for each
//	              running checksum (4), with flag 8: CRC32C of the checksums of the identities
//	              of all records of the log before this one
//	38+f    4     CRC32C (Castagnoli) of the store's id (16 bytes), the position (8 bytes)
//	              and all bytes before: the checksum of the identity
//	        …     uvarint: metadata entries, then for each, sorted by key:
//	                uvarint and bytes of the key, uvarint and bytes of the value
//	        …     payload
//	end-4   4     CRC32C of all bytes from the checksum of the identity on
//
// The position is not in the record but in the key, and the store's id is in the file's
// description. The checksum covers both, so a record under the key of another position,
// or of another store, is found damaged. A record holds all that is known of its event and
// commit: everything else in the file can be rebuilt from the records.
//
// A record has two checksums so that damage to the payload leaves its identity known: the
// stream, version, type, tags and key of the event. Queries and conditions that the event
// does not match need not fail for it. The running checksum shows that older content of
// some page has come back, which is whole.
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
// known; the writer fills in version, time and checksums ([Seal]). Decoding checks
// every field.
package record
