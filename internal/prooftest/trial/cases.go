package trial

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/yore-es/yore/internal/prooftest/proof"
)

// ErrSkip means that a case cannot be tried on this machine.
var ErrSkip = errors.New("cannot be tried here")

// InOrder tries the named cases one after the other, each with the path of a directory of
// its own, which does not exist yet. It keeps the names of those that fail.
func InOrder(env *proof.Env, names []string, try func(i int, dir string) error) (figures proof.Figures, _ error) {
	var errs []error
	tried, skipped := 0, 0
	for i, name := range names {
		err := try(i, filepath.Join(env.Scratch, fmt.Sprint("case-", i)))
		if errors.Is(err, ErrSkip) {
			skipped++
			env.Progress("%s: skipped: %v", name, err)
			continue
		}
		tried++
		if err != nil {
			errs = append(errs, env.Keep(fmt.Errorf("%s: %w", name, err), name, nil))
		}
	}
	figures.Add("cases", tried)
	figures.Add("skipped", skipped)
	figures.Add("problems", len(errs))
	return figures, errors.Join(errs...)
}
