package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/aggregate/aggtest"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

func TestDefineCourse(t *testing.T) {
	check(t, []scenario{
		{
			name:    "of an id that there is",
			given:   given(CourseDefined{"c1", 10}),
			when:    defineCourse("c1", 15),
			refused: ErrCourseExists,
		},
		{
			name: "of a new id",
			when: defineCourse("c1", 15),
			then: []any{CourseDefined{"c1", 15}},
		},
		{
			name:  "of another id",
			given: given(CourseDefined{"c1", 10}),
			when:  defineCourse("c2", 15),
			then:  []any{CourseDefined{"c2", 15}},
		},
		{
			name:    "without a seat",
			when:    defineCourse("c1", 0),
			refused: ErrCapacity,
		},
	})
}

func TestChangeCapacity(t *testing.T) {
	check(t, []scenario{
		{
			name:    "of a course that does not exist",
			when:    changeCapacity("c0", 15),
			refused: ErrNoCourse,
		},
		{
			name:  "to a new value",
			given: given(CourseDefined{"c1", 12}),
			when:  changeCapacity("c1", 15),
			then:  []any{CapacityChanged{"c1", 15}},
		},
		{
			name:    "to the value that it has",
			given:   given(CourseDefined{"c1", 12}, CapacityChanged{"c1", 15}),
			when:    changeCapacity("c1", 15),
			refused: ErrSameCapacity,
		},
		{
			name:    "to nothing",
			given:   given(CourseDefined{"c1", 12}),
			when:    changeCapacity("c1", 0),
			refused: ErrCapacity,
		},
	})
}

func TestSubscribe(t *testing.T) {
	check(t, []scenario{
		{
			name:    "to a course that does not exist",
			when:    subscribe("s1", "c0"),
			refused: ErrNoCourse,
		},
		{
			name: "to a course that is fully booked",
			given: given(CourseDefined{"c1", 3},
				StudentSubscribed{"s1", "c1"}, StudentSubscribed{"s2", "c1"}, StudentSubscribed{"s3", "c1"}),
			when:    subscribe("s4", "c1"),
			refused: ErrFullyBooked,
		},
		{
			name: "to a course that has got more seats",
			given: given(CourseDefined{"c1", 1}, StudentSubscribed{"s1", "c1"},
				CapacityChanged{"c1", 2}),
			when: subscribe("s2", "c1"),
			then: []any{StudentSubscribed{"s2", "c1"}},
		},
		{
			name:    "to the same course twice",
			given:   given(CourseDefined{"c1", 10}, StudentSubscribed{"s1", "c1"}),
			when:    subscribe("s1", "c1"),
			refused: ErrAlreadySubscribed,
		},
		{
			name:  "to a course with free seats",
			given: given(CourseDefined{"c1", 10}),
			when:  subscribe("s1", "c1"),
			then:  []any{StudentSubscribed{"s1", "c1"}},
		},
	})
}

func TestSubscribe_CoursesOfAStudent(t *testing.T) {
	check(t, []scenario{
		{
			name: "to more courses than five",
			given: given(CourseDefined{"c6", 10},
				StudentSubscribed{"s1", "c1"}, StudentSubscribed{"s1", "c2"}, StudentSubscribed{"s1", "c3"},
				StudentSubscribed{"s1", "c4"}, StudentSubscribed{"s1", "c5"}),
			when:    subscribe("s1", "c6"),
			refused: ErrTooManyCourses,
		},
		{
			name: "to a fifth course",
			given: given(CourseDefined{"c6", 10},
				StudentSubscribed{"s1", "c1"}, StudentSubscribed{"s1", "c2"}, StudentSubscribed{"s1", "c3"},
				StudentSubscribed{"s1", "c4"}, StudentSubscribed{"s2", "c5"}),
			when: subscribe("s1", "c6"),
			then: []any{StudentSubscribed{"s1", "c6"}},
		},
	})
}

// The state of a model can be looked at by itself.
func TestSeatsTaken(t *testing.T) {
	log := aggtest.NewLog(t, registry(t)).
		Given(CourseDefined{"c1", 3}, StudentSubscribed{"s1", "c1"}, StudentSubscribed{"s1", "c2"})
	aggtest.CheckModel(log, seatsTaken("c1"), 1)
	aggtest.CheckModel(log.When(subscribe("s2", "c1")).After(), seatsTaken("c1"), 2)
}

func TestSubscribe_ManyAtOnce(t *testing.T) {
	aggtest.EachStore(t, stores, func(t *testing.T, open aggtest.Open) {
		store := open(t, time.Now)
		defer func() { require.NoError(t, store.Close()) }()
		lastSeats(t, store)
	})
}

// lastSeats has 64 students ask for the last 8 seats of a course, and one of them,
// greedy, for six courses at once.
func lastSeats(t *testing.T, store eventstore.Store) {
	const students, seats = 64, 8
	decisions, err := aggregate.NewDecisions(store, registry(t), &aggregate.Options{MaxAttempts: 1_000})
	require.NoError(t, err)
	for _, course := range []string{"c1", "c2", "c3", "c4", "c5", "c6"} {
		_, err = decisions.Execute(t.Context(), defineCourse(course, seats))
		require.NoError(t, err)
	}
	var got, refused atomic.Int32
	var wg sync.WaitGroup
	for i := range students {
		wg.Go(func() {
			_, err := decisions.Execute(t.Context(), subscribe(fmt.Sprint("s", i), "c1"))
			switch {
			case err == nil:
				got.Add(1)
			case errors.Is(err, ErrFullyBooked):
				refused.Add(1)
			default:
				t.Error(err)
			}
			if i < 6 {
				_, err := decisions.Execute(t.Context(), subscribe("greedy", fmt.Sprint("c", i+1)))
				if err != nil && !errors.Is(err, ErrTooManyCourses) && !errors.Is(err, ErrFullyBooked) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	var taken, courses int
	_, err = decisions.Load(t.Context(), seatsTaken("c1").Into(&taken), coursesOf("greedy").Into(&courses))
	require.NoError(t, err)
	require.Equal(t, seats, taken, "all seats are taken, and no more")
	require.EqualValues(t, students, got.Load()+refused.Load())
	require.Equal(t, maxCourses, courses)
}

func TestSubscribe_OthersDoNotConflict(t *testing.T) {
	store, err := boltstore.Open(filepath.Join(t.TempDir(), "log.yore"), nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	decisions, err := aggregate.NewDecisions(store, registry(t), &aggregate.Options{MaxAttempts: 1})
	require.NoError(t, err)
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			course := fmt.Sprint("c", i)
			if _, err := decisions.Execute(t.Context(), defineCourse(course, 1)); err != nil {
				t.Error(err)
			}
			if _, err := decisions.Execute(t.Context(), subscribe("s"+course, course)); err != nil {
				t.Error(err) // a conflict, since there is only one attempt
			}
		})
	}
	wg.Wait()
}
