package sample

import (
	"context"
	"fmt"

	"github.com/yore-es/yore/eventstore/boltstore"
)

// Verify returns the findings of the store's Verify as text.
func Verify(ctx context.Context, s *boltstore.Store) ([]string, error) {
	v, err := s.Verify(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	var found []string
	for _, f := range v.Findings {
		found = append(found, f.String())
	}
	if v.OK() != (len(found) == 0) {
		return found, fmt.Errorf("verify: OK is %v beside %d findings", v.OK(), len(found))
	}
	return found, nil
}
