package logfile

// The buckets of the file, but for that of the index, whose name is index.Bucket.
var (
	StoreBucket       = []byte("yore")        // what the file says of itself
	LogBucket         = []byte("log")         // position -> record, or pack of records
	RowsBucket        = []byte("rows")        // a bucket for each view: table, NUL, key -> value and checksum
	ChangesBucket     = []byte("changes")     // a bucket for each view that has layers: number, table, NUL, key -> change and checksum
	CheckpointsBucket = []byte("checkpoints") // view -> checkpoint
	AsideBucket       = []byte("aside")       // damaged indexes, each in a bucket named after the transaction that moved it there
)

// bucketsOfViews are the buckets of what is derived for views.
var bucketsOfViews = []string{string(RowsBucket), string(ChangesBucket), string(CheckpointsBucket)}
