package eventstore

import "fmt"

// Expectation is a condition on the version of a stream. Use one of the constants or
// [At]. The zero Expectation is invalid, so a forgotten expectation is an error. A
// Version or another number converted to Expectation is invalid too.
type Expectation uint64

// base is less than every valid Expectation and greater than every version that a stream
// can reach. 2*base is greater than every valid Expectation.
const base = 1 << 62

const (
	// Any holds for every stream, with or without events.
	Any Expectation = base + 1
	// Exists holds for a stream with at least one event.
	Exists Expectation = base + 2
	// NoStream holds for a stream without events. It equals At(0).
	NoStream Expectation = base + 3
)

// mostVersion is greater than the version of any stream.
const mostVersion = Version(2*base - 1 - NoStream)

// At holds for a stream whose last event has version v. At(0) is NoStream. All versions
// above about 4.6e18, which no stream reaches, give the same Expectation; it holds for
// no stream.
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

// String returns the expectation in words, as in error messages.
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

// FirstConflict returns the version of the first event that breaks the expectation in a
// stream at version actual. It returns 0 if no event does: the expectation holds, or the
// stream is shorter than expected.
func (e Expectation) FirstConflict(actual Version) Version {
	if e < NoStream || !e.valid() {
		return 0
	}
	if expected := Version(e - NoStream); actual > expected {
		return expected + 1
	}
	return 0
}
