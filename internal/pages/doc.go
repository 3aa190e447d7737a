// Package pages reads the pages of a bbolt file without bbolt's cursor, which trusts
// the pages.
//
// A file is pages of one size. The first two are the meta pages. Each transaction
// overwrites the older one, so the newer of the valid ones describes the file as it
// was last committed, and the other one describes it as it was one transaction
// before. A meta page names the root of the tree of buckets, the page with the list
// of free pages, and the high-water mark. Every page below the mark belongs to the
// tree or is free.
//
//	page    id (8) | flags (2) | count (2) | overflow (4), then its content
//	meta    magic (4) | version (4) | page size (4) | flags (4) | root page (8) |
//	        root sequence (8) | free list page (8) | high-water mark (8) |
//	        transaction (8) | FNV-1a of what is before (8)
//	branch  for each child: offset (4) | key size (4) | page (8); then the keys
//	leaf    for each element: flags (4) | offset (4) | key size (4) | value size (4);
//	        then keys and values; a value with flag 1 is a bucket: its root page
//	        (8), 0 if it is within the value, and a sequence (8)
//	free    page ids (8 each); a count of 0xffff means that the first is the count
//
// Integers are in the byte order of the machine that wrote the file. Only meta pages
// have a checksum. Offsets count from the start of their own element.
//
// [Inspect] reads the meta pages and reports whether the file has its full length.
// [Check] walks all pages. Both read with ReadAt and do not map the file, so a
// missing page is an error and not a signal.
//
// Inside of a transaction of bbolt, [View] returns a [Tx], which reads the mapped file
// and checks what it reads, and [Write] returns a [WriteTx], which checks what bbolt
// reads before it writes.
package pages
