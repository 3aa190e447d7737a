package eventstore

// Limits bound what a commit and a query may hold. Sizes are in bytes. A value
// at the limit is accepted, one more is ErrTooLarge.
type Limits struct {
	// NameBytes bounds each stream, category, type, tag, codec and key.
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
	// CommitBytes bounds the payload and metadata of all events of a commit.
	CommitBytes int
	// GuardsPerCommit bounds a commit's guards.
	GuardsPerCommit int
}

// StandardLimits returns the limits that every store keeps unless its Info says less.
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
	}
}
