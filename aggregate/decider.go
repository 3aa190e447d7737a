package aggregate

// Decider is how one kind of thing decides and changes, as pure functions: S is
// its state, C its commands, E its events. The zero value of a field is not
// usable unless the field says so.
type Decider[S, C, E any] struct {
	// Category is the part of the stream's name before the first dash: not
	// empty, without a dash or NUL, UTF-8, at most 253 bytes. It does not begin with
	// "yore.": such streams are the library's own.
	Category string
	// Initial makes the state before the first event; nil means the zero S, which
	// will not do for a state with a map that Evolve writes to. It must return a
	// state of its own each time if Evolve changes what it is given.
	Initial func() S
	// Decide returns the events that the command leads to, none if there is
	// nothing to do, or the reason to refuse it. It must not change the state
	// and may be called more than once for one command. A switch over the types
	// of commands should end with an error: a pointer to a command is another type.
	Decide func(S, C) ([]E, error)
	// Evolve returns the state after the event. It may change the state it is
	// given. It cannot refuse: the event has happened.
	Evolve func(S, E) S
	// Clone returns a copy that shares no memory with the state that Evolve or a
	// caller might change; for an S without pointers, maps and slices that is the
	// state itself. With it a repository keeps states in memory (see
	// [Options].CacheSize); nil: it folds each one anew. It must not change the state.
	Clone func(S) S
}
