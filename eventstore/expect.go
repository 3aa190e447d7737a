package eventstore

import (
	"fmt"
	"math"
)

// Expectation says at which version a stream must be for a commit to be
// appended. The zero Expectation is invalid, so that one that was forgotten is
// an error and not a wish.
type Expectation uint64

const (
	// Any holds for every stream, with or without events.
	Any Expectation = 1
	// Exists holds for a stream with at least one event.
	Exists Expectation = 2
	// NoStream holds for a stream without events. It equals At(0).
	NoStream Expectation = 3
)

// At holds for a stream whose last event has version v; At(0) is NoStream.
func At(v Version) Expectation {
	if v > math.MaxUint64-Version(NoStream) {
		return math.MaxUint64 // no stream gets there: fails as any version beyond the actual does
	}
	return NoStream + Expectation(v)
}

// Holds reports whether a stream at version actual meets the expectation. The
// zero Expectation never holds.
func (e Expectation) Holds(actual Version) bool {
	switch e {
	case 0:
		return false
	case Any:
		return true
	case Exists:
		return actual > 0
	default:
		return actual == Version(e-NoStream)
	}
}

// String says the expectation in words, as error messages do.
func (e Expectation) String() string {
	switch e {
	case 0:
		return "nothing (the zero Expectation)"
	case Any:
		return "any version"
	case Exists:
		return "an existing stream"
	case NoStream:
		return "no stream"
	default:
		return fmt.Sprintf("version %d", uint64(e-NoStream))
	}
}

// FirstConflict returns the version of the first event that breaks the
// expectation in a stream at version actual, or 0 when no event does, because
// the expectation holds or the stream is too short for it.
func (e Expectation) FirstConflict(actual Version) Version {
	if e < NoStream {
		return 0
	}
	if expected := Version(e - NoStream); actual > expected {
		return expected + 1
	}
	return 0
}
