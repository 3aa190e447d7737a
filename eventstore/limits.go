package eventstore

// Limits bound what a commit, a query and a view may hold. Sizes are in bytes. A value
// at the limit is accepted, one more is ErrTooLarge.
type Limits struct {
	// NameBytes bounds each stream, category, type, tag, codec, key, view and table.
	NameBytes int
	// TagsPerEvent bounds an event's tags, and those of a query's item.
	TagsPerEvent int
	// ItemsPerQuery bounds a query's items.
	ItemsPerQuery int
	// PayloadBytes bounds one event's Data.
	PayloadBytes int
	// MetadataBytes bounds one event's metadata, keys and values together.
	MetadataBytes int
	// EventsPerCommit bounds a commit's events.
	EventsPerCommit int
	// CommitBytes bounds the payload and metadata of all events of a commit,
	// and the keys and values of all rows of one.
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
