package sample

import (
	"context"
	"fmt"

	"github.com/yore-es/yore/eventstore/boltstore"
)

// Verify returns the findings of the store's Verify as text.
func Verify(ctx context.Context, s *boltstore.Store) ([]string, error) {
	found, _, err := verify(ctx, s)
	return found, err
}

func verify(ctx context.Context, s *boltstore.Store) ([]string, boltstore.VerifyReport, error) {
	v, err := s.Verify(ctx, nil)
	if err != nil {
		return nil, v, fmt.Errorf("verify: %w", err)
	}
	var found []string
	for _, f := range v.Findings {
		found = append(found, fmt.Sprintf("%s at position %d, view %q: %s", f.Kind, f.Position, f.View, f.Problem))
	}
	if v.OK() != (len(found) == 0) {
		return found, v, fmt.Errorf("verify: OK is %v beside %d findings", v.OK(), len(found))
	}
	return found, v, nil
}
