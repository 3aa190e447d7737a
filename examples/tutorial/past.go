package main

import (
	"context"
	"fmt"
	"time"
)

// past looks at Ann's cart as it was.
func past(ctx context.Context, s *shop) error {
	var secondAt time.Time
	for event, err := range s.carts.History(ctx, "ann") {
		if err != nil {
			return err
		}
		fmt.Printf("version %d: %s %+v\n", event.Version, event.Type, event.Data)
		if event.Version == 2 {
			secondAt = event.Recorded
		}
	}
	first, err := s.carts.LoadAt(ctx, "ann", 1)
	if err != nil {
		return err
	}
	fmt.Printf("at version 1: %v\n", first.Pieces)

	then, version, err := s.carts.LoadAsOf(ctx, "ann", secondAt)
	if err != nil {
		return err
	}
	fmt.Printf("when the second event was recorded: version %d, %v\n", version, then.Pieces)
	return nil
}
