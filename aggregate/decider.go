package aggregate

// Decider defines one kind of aggregate by pure functions. S is its state, C its
// commands, E its events. Category, Decide and Evolve are required.
type Decider[S, C, E any] struct {
	// Category is the part of the stream's name before the first dash: 1 to 253
	// bytes of UTF-8 without dash and NUL. It does not begin with "yore.",
	// as the streams of the library do.
	Category string
	// Initial returns the state before the first event. Nil means the zero S, which
	// does not suit a state with a map that Evolve writes to. Initial must return a
	// new state each time if Evolve changes the state that it is given.
	Initial func() S
	// Decide returns the events that the command leads to, none if there is nothing
	// to do, or the reason to refuse the command. It must not change the state, and
	// may be called more than once for one command. A switch over the types of
	// commands should end with an error, because a pointer to a command is another
	// type.
	Decide func(S, C) ([]E, error)
	// Evolve returns the state after the event. It may change the state that it is
	// given. It cannot fail, because the event has happened.
	Evolve func(S, E) S
	// Clone returns a copy of the state that shares no memory with it which Evolve
	// or a caller might change. For an S without pointers, maps and slices that is
	// the state itself. With Clone a repository keeps states in memory (see
	// [Options].CacheSize); if it is nil, each load folds all events, and so does each
	// attempt of a command that conflicts. Clone must not change the state.
	Clone func(S) S
}
