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

// school is what the program has put together when it starts.
type school struct {
	store     eventstore.RowStore
	decisions *aggregate.Decisions
	views     *projection.Host
	view      attendance
}

// attend subscribes the student and says how many the course has then. The answer
// includes this one, though the view is kept by another goroutine.
func (s *school) attend(ctx context.Context, student, course string) (int, error) {
	decided, err := s.decisions.Execute(ctx, subscribe(student, course))
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err = s.views.Wait(ctx, decided.Receipt.Last, s.view.Projection)
	if errors.Is(err, projection.ErrLate) {
		return 0, fmt.Errorf("you are subscribed; look again later: %w", err)
	}
	if err != nil {
		return 0, err
	}
	row, _, err := s.view.students.Get(ctx, s.store, course)
	return row.Value, err
}

func Example_waitForAView() {
	ctx, stop := context.WithCancel(context.Background())
	store, registry := memstore.New(nil), must(newRegistry())
	s := &school{
		store:     store,
		decisions: must(aggregate.NewDecisions(store, registry, nil)),
		views:     must(projection.NewHost(store, registry, nil)),
		view:      newAttendance(),
	}
	ended := make(chan error)
	go func() { ended <- s.views.Run(ctx, s.view.Projection) }()

	must(s.decisions.Execute(ctx, defineCourse("algebra", 9)))
	fmt.Println(s.attend(ctx, "ann", "algebra"))
	fmt.Println(s.attend(ctx, "bob", "algebra"))

	stop()
	fmt.Println(<-ended)
	_, err := s.attend(context.Background(), "ann", "algebra")
	fmt.Println(err)
	// Output:
	// 1 <nil>
	// 2 <nil>
	// context canceled
	// the student is subscribed already
}
