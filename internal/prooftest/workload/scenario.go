package workload

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
)

// Scenario is a workload, from opening the store to closing it. It begins on any
// disk: an empty one, or what a power loss has left.
type Scenario struct {
	Name  string
	Large bool // it needs a large script
	Room  bool // it needs a disk of more than 64 MiB
	run   func(*session) error
}

// Insisting is the name of the scenario that appends in a mode, and goes on after
// errors as [Segments] do. It is for disks that fail, and not in [Scenarios].
func Insisting(m Mode) string { return "insist-" + string(m) }

// insistentCommits is the number of commits of that scenario.
const insistentCommits = 12

// Scenarios returns all scenarios.
func Scenarios() []Scenario {
	return []Scenario{
		{Name: "single", run: single},
		{Name: "writers", run: writers},
		{Name: "async", run: async},
		{Name: "inline", run: inline},
		{Name: "rebuild", run: rebuild},
		{Name: "drop", run: drop},
		{Name: "reopen", run: reopen},
		{Name: "index", run: index},
		{Name: "large", Large: true, run: large},
		{Name: "readers", run: readers},
		{Name: "growth", Room: true, run: growth},
		{Name: "compact", run: compact},
		{Name: "remake", run: remake},
		{Name: "restore", run: restore},
	}
}

// find returns the scenario with a name.
func find(name string) (Scenario, error) {
	all := Scenarios()
	i := slices.IndexFunc(all, func(s Scenario) bool { return s.Name == name })
	if i < 0 {
		return Scenario{}, fmt.Errorf("no scenario %q", name)
	}
	return all[i], nil
}

func single(s *session) error { return s.appendMany(0, 40) }

func large(s *session) error { return s.appendMany(0, 15) }

func writers(s *session) error { return s.appendAll(5, 12) }

// growth makes the file outgrow the size that it was created with.
func growth(s *session) error {
	return errors.Join(s.appendMany(0, 5), s.appendMany(hugeWriter, 3), s.appendMany(0, 3))
}

// async maintains a view while others append.
func async(s *session) error {
	ctx, ended := context.WithCancel(s.ctx)
	defer ended()
	var appending sync.WaitGroup
	var appended error
	appending.Go(func() {
		defer ended()
		appended = s.appendAll(2, 16)
	})
	for batch, err := range s.store.Follow(ctx, eventstore.All(), 0) {
		if err == nil {
			err = s.followRows(batch.Through, 5)
		}
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
	}
	appending.Wait()
	head, err := s.store.Head(s.ctx)
	return errors.Join(err, appended, s.followRows(head, 5))
}

// inline attaches a view to a log that has events, and appends with it.
func inline(s *session) error {
	return errors.Join(s.appendMany(0, 8), s.attach(), s.appendAll(3, 10))
}

// rebuild builds one version of a projection, and then the next, which replaces it.
func rebuild(s *session) error {
	if err := errors.Join(s.appendMany(0, 15), s.bringUp(1, false), s.appendMany(0, 5), s.bringUp(1, false)); err != nil {
		return err
	}
	var appending sync.WaitGroup
	var appended error
	appending.Go(func() { appended = s.appendMany(1, 10) })
	err := s.bringUp(2, true)
	appending.Wait()
	return errors.Join(err, appended, s.bringUp(2, false), s.bringUp(2, true))
}

// drop maintains a view, drops it in slices while others append, and maintains it
// again.
func drop(s *session) error {
	if err := s.appendMany(0, 15); err != nil {
		return err
	}
	head, err := s.store.Head(s.ctx)
	if err != nil {
		return err
	}
	if err := s.followRows(head, 8); err != nil {
		return err
	}
	var appending sync.WaitGroup
	var appended error
	appending.Go(func() { appended = s.appendMany(1, 8) })
	err = s.dropRows()
	appending.Wait()
	return errors.Join(err, appended, s.followRows(head, 16))
}

// reopen closes and opens the store between commits.
func reopen(s *session) error {
	for i := range 5 {
		if i > 1 {
			if err := s.attach(); err != nil {
				return err
			}
		}
		if err := errors.Join(s.appendMany(0, 5), s.close(), s.open()); err != nil {
			return err
		}
	}
	return nil
}

// index deletes the index, which Open builds again.
func index(s *session) error {
	if err := errors.Join(s.appendMany(0, 15), s.appendAll(3, 5), s.close()); err != nil {
		return err
	}
	s.mark("index dropped")
	err := Amend(filepath.Join(s.dir, LogName), func(tx *pages.WriteTx) error {
		return tx.Root().DeleteBucket([]byte("index"))
	})
	if err := errors.Join(err, s.open()); err != nil {
		return err
	}
	return s.appendMany(0, 5)
}

// Amend changes a log behind the store's back, in one transaction that writes the head as
// each transaction of the store does.
func Amend(path string, change func(*pages.WriteTx) error) error {
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		changes := pages.Write(tx)
		identity, err := logfile.LoadIdentity(changes.Before)
		if err != nil {
			return err
		}
		head, _, _ := logfile.ReadHead(changes.Before, identity.Seed())
		return errors.Join(change(changes), logfile.PutHead(changes, identity.Seed(), head))
	})
	return errors.Join(err, db.Close())
}
