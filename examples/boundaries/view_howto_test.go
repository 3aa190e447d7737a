package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/projection"
)

// The program of docs/how-to/wait-for-a-view.md.

// attendance counts the students of each course.
type attendance struct {
	*projection.Projection
	students *projection.Table[string, int]
}

func newAttendance() attendance {
	p := projection.New("attendance", 1)
	students := projection.NewTable[string, int](p, "by-course")
	projection.On(p, func(tx projection.Tx, e fold.Event[StudentSubscribed]) error {
		return students.In(tx).Update(e.Data.Course, func(n int) int { return n + 1 })
	})
	return attendance{p, students}
}

// attend subscribes the student and says how many the course has then. The answer
// includes this one, though the view is kept by another goroutine.
func attend(
	ctx context.Context, store eventstore.RowStore, decisions *aggregate.Decisions, view attendance, student, course string,
) (int, error) {
	decided, err := decisions.Execute(ctx, subscribe(student, course))
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err = projection.Wait(ctx, store, decided.Receipt.Last, view.Projection)
	if errors.Is(err, projection.ErrLate) {
		return 0, fmt.Errorf("you are subscribed; look again later: %w", err)
	}
	if err != nil {
		return 0, err
	}
	n, _, err := view.students.Get(ctx, store, course)
	return n, err
}

func Example_waitForAView() {
	ctx, stop := context.WithCancel(context.Background())
	store, registry, view := memstore.New(nil), must(newRegistry()), newAttendance()
	decisions := must(aggregate.NewDecisions(store, registry, nil))
	ended := make(chan error)
	go func() { ended <- projection.Run(ctx, store, registry, view.Projection) }()

	must(decisions.Execute(ctx, defineCourse("algebra", 9)))
	fmt.Println(attend(ctx, store, decisions, view, "ann", "algebra"))
	fmt.Println(attend(ctx, store, decisions, view, "bob", "algebra"))

	stop()
	fmt.Println(<-ended)
	_, err := attend(context.Background(), store, decisions, view, "ann", "algebra")
	fmt.Println(err)
	// Output:
	// 1 <nil>
	// 2 <nil>
	// run projection "attendance": context canceled
	// the student is subscribed already
}
