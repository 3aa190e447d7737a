package main

import "time"

// scale has the sizes of a measurement.
type scale struct {
	rounds int           // of a row
	warm   time.Duration // of appends, before the measurement
	window time.Duration // of a measurement of appends, or of a floor
	glance time.Duration // of a measurement of reads

	logEvents   int           // of the log that is read and guarded; a multiple of 20,000
	stallEvents int           // of a round of append/p99
	stallTime   time.Duration // longest time of such a round; 0: no limit

	growthRounds int
	growthEvents int           // in all
	growthEnds   int           // at the start and at the end, at most, which are compared
	growthFloor  time.Duration // of a floor beside them
	growthTime   time.Duration // longest time of a run, about, which then has fewer events; 0: no limit
	settle       time.Duration // for the engine's background work, before a floor

	liveAppends   int
	fanoutEvents  int
	fanoutReaders int
	viewEvents    int // of the log of view/async
	victimRounds  int // writers that are killed
	victimLife    time.Duration

	smallerLogs bool // mention it in the notes
}

// full is the scale of trusted figures.
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

// quickly is a scale that takes less than a minute.
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
