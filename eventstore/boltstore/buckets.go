package boltstore

// The buckets of the file, but for that of the index, whose name is index.Bucket.
var (
	storeBucket       = []byte("yore")        // what the file says of itself
	logBucket         = []byte("log")         // position -> record, or pack of records
	rowsBucket        = []byte("rows")        // a bucket for each view: table, NUL, key -> value and checksum
	changesBucket     = []byte("changes")     // a bucket for each view that has layers: number, table, NUL, key -> change and checksum
	checkpointsBucket = []byte("checkpoints") // view -> checkpoint
	asideBucket       = []byte("aside")       // damaged indexes, each in a bucket named after the transaction that moved it there
)

// bucketsOfViews are the buckets of what is derived for views.
var bucketsOfViews = []string{string(rowsBucket), string(changesBucket), string(checkpointsBucket)}
