package eventstore

// Limits are the limits of commits, queries and rows. A value equal to its limit is
// accepted, a greater one is ErrTooLarge.
type Limits struct {
	// NameBytes bounds the name of each stream, category, type, codec, view and table,
	// each tag, and the key of a commit.
	NameBytes int
	// TagsPerEvent bounds the tags of an event, and those of an item of a query.
	TagsPerEvent int
	// ItemsPerQuery bounds a query's items.
	ItemsPerQuery int
	// PayloadBytes bounds one event's Data.
	PayloadBytes int
	// MetadataBytes bounds one event's metadata, keys and values together.
	MetadataBytes int
	// EventsPerCommit bounds a commit's events.
	EventsPerCommit int
	// CommitBytes bounds the payload and metadata of all events of a Commit together,
	// and the keys and values of all rows of a RowCommit together.
	CommitBytes int
	// GuardsPerCommit bounds a commit's guards.
	GuardsPerCommit int
	// RowKeyBytes bounds the key of a row.
	RowKeyBytes int
	// RowValueBytes bounds the value of a row.
	RowValueBytes int
	// RowsPerCommit bounds the rows of a RowCommit.
	RowsPerCommit int
	// CheckpointBytes bounds a checkpoint's Data.
	CheckpointBytes int
}

// StandardLimits returns the limits that every store keeps unless its Info says less:
//
//	NameBytes          255   bytes of each stream, category, type, tag, codec, key, view, table
//	TagsPerEvent       128
//	ItemsPerQuery      128
//	PayloadBytes       16 MiB
//	MetadataBytes      64 KiB
//	EventsPerCommit    65,536
//	CommitBytes        64 MiB
//	GuardsPerCommit    1,024
//	RowKeyBytes        4,096
//	RowValueBytes      16 MiB
//	RowsPerCommit      65,536
//	CheckpointBytes    64 KiB
//
// The stream of an aggregate is its category, a dash and its id, so an id has at most 254
// bytes less those of its category.
func StandardLimits() Limits {
	return Limits{
		NameBytes:       255,
		TagsPerEvent:    128,
		ItemsPerQuery:   128,
		PayloadBytes:    16 << 20,
		MetadataBytes:   64 << 10,
		EventsPerCommit: 65_536,
		CommitBytes:     64 << 20,
		GuardsPerCommit: 1_024,
		RowKeyBytes:     4_096,
		RowValueBytes:   16 << 20,
		RowsPerCommit:   65_536,
		CheckpointBytes: 64 << 10,
	}
}
