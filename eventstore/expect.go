package eventstore

import "fmt"

// Expectation says at which version a stream must be for a commit to be
// appended: one of the constants, or what [At] returns. The zero Expectation is
// invalid, so that one that was forgotten is an error and not a wish. So is a
// Version or another number that was converted, a negative one too: it would say
// something else than it seems to.
type Expectation uint64

// base is below all Expectations that say something and above all versions that a
// stream can come to; twice as much is above all Expectations.
const base = 1 << 62

const (
	// Any holds for every stream, with or without events.
	Any Expectation = base + 1
	// Exists holds for a stream with at least one event.
	Exists Expectation = base + 2
	// NoStream holds for a stream without events. It equals At(0).
	NoStream Expectation = base + 3
)

// mostVersion is more than the version of any stream.
const mostVersion = Version(2*base - 1 - NoStream)

// At holds for a stream whose last event has version v; At(0) is NoStream. Beyond
// what a stream can come to, about 4.6e18, all versions are the same Expectation,
// which holds for no stream.
func At(v Version) Expectation { return NoStream + Expectation(min(v, mostVersion)) }

func (e Expectation) valid() bool { return e >= Any && e <= At(mostVersion) }

// Holds reports whether a stream at version actual meets the expectation. An
// invalid Expectation never holds.
func (e Expectation) Holds(actual Version) bool {
	switch e {
	case Any:
		return true
	case Exists:
		return actual > 0
	default:
		return e.valid() && actual == Version(e-NoStream)
	}
}

// String says the expectation in words, as error messages do.
func (e Expectation) String() string {
	switch {
	case e == 0:
		return "nothing (the zero Expectation)"
	case !e.valid():
		return fmt.Sprintf("nothing (the number %d)", uint64(e))
	case e == Any:
		return "any version"
	case e == Exists:
		return "an existing stream"
	case e == NoStream:
		return "no stream"
	default:
		return fmt.Sprintf("version %d", uint64(e-NoStream))
	}
}

// FirstConflict returns the version of the first event that breaks the
// expectation in a stream at version actual, or 0 when no event does, because
// the expectation holds or the stream is too short for it.
func (e Expectation) FirstConflict(actual Version) Version {
	if e < NoStream || !e.valid() {
		return 0
	}
	if expected := Version(e - NoStream); actual > expected {
		return expected + 1
	}
	return 0
}
