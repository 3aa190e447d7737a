package main

import "time"

// scale says how much is measured.
type scale struct {
	rounds int           // of a row
	warm   time.Duration // of appending, before it counts
	window time.Duration // of a measurement of appends, or of a floor
	glance time.Duration // of a measurement of reads

	logEvents   int           // of the log that is read and guarded; a multiple of 20,000
	stallEvents int           // of a round of append/p99
	stallTime   time.Duration // when such a round ends at the latest; 0 is never

	growthRounds int
	growthEvents int           // in all
	growthEnds   int           // of these, the first and the last at most, which are compared
	growthFloor  time.Duration // of a floor beside them
	growthTime   time.Duration // of a run at most, about; it has fewer events then; 0 is no limit
	settle       time.Duration // for what the engine does in the background, before a floor

	liveAppends   int
	fanoutEvents  int
	fanoutReaders int
	viewEvents    int // of the log of view/async
	victimRounds  int // how often a writer is killed
	victimLife    time.Duration

	smallerLogs bool // to be told in the notes
}

// full is what the figures are to be trusted at.
var full = scale{
	rounds: 5,
	warm:   200 * time.Millisecond,
	window: 3 * time.Second,
	glance: time.Second,

	logEvents:   1_000_000,
	stallEvents: 500_000,

	growthRounds: 3,
	growthEvents: 5_000_000,
	growthEnds:   500_000,
	growthFloor:  3 * time.Second,
	settle:       time.Second,

	liveAppends:   2_000,
	fanoutEvents:  10_000,
	fanoutReaders: 1_000,
	viewEvents:    300_000,
	victimRounds:  3,
	victimLife:    5 * time.Second,
}

// quickly is full in less than a minute.
var quickly = scale{
	rounds: 3,
	warm:   60 * time.Millisecond,
	window: 180 * time.Millisecond,
	glance: 120 * time.Millisecond,

	logEvents:   200_000,
	stallEvents: 150_000,
	stallTime:   800 * time.Millisecond,

	growthRounds: 1,
	growthEvents: 1_000_000,
	growthEnds:   250_000,
	growthFloor:  400 * time.Millisecond,
	growthTime:   6 * time.Second,
	settle:       100 * time.Millisecond,

	liveAppends:   200,
	fanoutEvents:  500,
	fanoutReaders: 1_000,
	viewEvents:    40_000,
	victimRounds:  1,
	victimLife:    500 * time.Millisecond,

	smallerLogs: true,
}
