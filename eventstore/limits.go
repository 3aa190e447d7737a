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
	// NamesPerItem bounds the streams, categories, types and tags of an item of a query
	// together.
	NamesPerItem int
	// NamesPerQuery bounds the names of all items of a query together.
	NamesPerQuery int
	// PayloadBytes bounds one event's Data.
	PayloadBytes int
	// MetadataBytes bounds one event's metadata, keys and values together.
	MetadataBytes int
	// EventsPerCommit bounds a commit's events.
	EventsPerCommit int
	// CommitBytes bounds the payload and metadata of all events of a Commit together. It
	// also bounds their streams, types, codecs and tags together, each as often as an
	// event has it, and the keys and values of all rows of a RowCommit together.
	CommitBytes int
	// TagsPerCommit bounds the tags of all events of a commit together.
	TagsPerCommit int
	// ExpectationsPerCommit bounds a commit's expectations.
	ExpectationsPerCommit int
	// GuardsPerCommit bounds a commit's guards.
	GuardsPerCommit int
	// NamesPerCommit bounds the names in the queries of all guards of a commit together.
	NamesPerCommit int
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
//	NameBytes              255   bytes of each stream, category, type, tag, codec, key, view, table
//	TagsPerEvent           128
//	ItemsPerQuery          128
//	NamesPerItem           1,024
//	NamesPerQuery          16,384
//	PayloadBytes           16 MiB
//	MetadataBytes          64 KiB
//	EventsPerCommit        65,536
//	CommitBytes            64 MiB
//	TagsPerCommit          1,048,576
//	ExpectationsPerCommit  65,536
//	GuardsPerCommit        1,024
//	NamesPerCommit         65,536
//	RowKeyBytes            4,096
//	RowValueBytes          16 MiB
//	RowsPerCommit          65,536
//	CheckpointBytes        64 KiB
//
// The stream of an aggregate is its category, a dash and its id, so an id has at most 254
// bytes less those of its category.
func StandardLimits() Limits {
	return Limits{
		NameBytes:             255,
		TagsPerEvent:          128,
		ItemsPerQuery:         128,
		NamesPerItem:          1_024,
		NamesPerQuery:         16_384,
		PayloadBytes:          16 << 20,
		MetadataBytes:         64 << 10,
		EventsPerCommit:       65_536,
		CommitBytes:           64 << 20,
		TagsPerCommit:         1 << 20,
		ExpectationsPerCommit: 65_536,
		GuardsPerCommit:       1_024,
		NamesPerCommit:        65_536,
		RowKeyBytes:           4_096,
		RowValueBytes:         16 << 20,
		RowsPerCommit:         65_536,
		CheckpointBytes:       64 << 10,
	}
}
