package logfile

// The top-level buckets of the file. That of the index is named index.Bucket.
var (
	StoreBucket       = []byte("yore")        // the description of the file
	LogBucket         = []byte("log")         // position -> record, or pack of records
	HolesBucket       = []byte("holes")       // last position -> first position of a range that Salvage has not found
	RowsBucket        = []byte("rows")        // a bucket for each view: table, NUL, key -> value and checksum
	ChangesBucket     = []byte("changes")     // a bucket for each view that has layers: number, table, NUL, key -> change and checksum
	CheckpointsBucket = []byte("checkpoints") // view -> checkpoint
	AsideBucket       = []byte("aside")       // damaged indexes, each in a bucket named by the id of the transaction that moved it
)

// bucketsOfViews are the buckets of rows and checkpoints.
var bucketsOfViews = []string{string(RowsBucket), string(ChangesBucket), string(CheckpointsBucket)}
