package main

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/eventstore/memstore"
	"github.com/yore-es/yore/eventstore/storetest"
)

// The tests of docs/how-to/hold-your-own-store-to-the-contract.md. A journal
// stands for the reader's own store.

type journal struct {
	eventstore.Store
	path string
}

func openJournal(path string) (*journal, error) {
	store, err := boltstore.Open(path, &boltstore.Options{LockTimeout: 1})
	if err != nil {
		return nil, err
	}
	return &journal{Store: store, path: path}, nil
}

func openToRead(path string) (*journal, error) {
	store, err := boltstore.Open(path, &boltstore.Options{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	return &journal{Store: store, path: path}, nil
}

// check says what is damaged.
func (j *journal) check() error {
	v, err := j.Store.(*boltstore.Store).Verify(context.Background(), nil)
	if err == nil && !v.OK() {
		err = fmt.Errorf("%d faults, first: %v", len(v.Findings), v.Findings[0])
	}
	return err
}

func journals() storetest.Config {
	return storetest.Config{
		Open: func(tb testing.TB) eventstore.Store {
			j, err := openJournal(filepath.Join(tb.TempDir(), "journal"))
			if err != nil {
				tb.Fatal(err)
			}
			return j
		},
		Reopen: func(tb testing.TB, closed eventstore.Store) eventstore.Store {
			j, err := openJournal(closed.(*journal).path)
			if err != nil {
				tb.Fatal(err)
			}
			return j
		},
		OpenSecond: func(_ testing.TB, open eventstore.Store) (eventstore.Store, error) {
			j, err := openJournal(open.(*journal).path)
			if err != nil {
				return nil, err // and not j: a nil *journal in a Store is no nil Store
			}
			return j, nil
		},
		OpenReadOnly: func(tb testing.TB, closed eventstore.Store) eventstore.Store {
			j, err := openToRead(closed.(*journal).path)
			if err != nil {
				tb.Fatal(err)
			}
			return j
		},
		Verify: func(tb testing.TB, open eventstore.Store) {
			if err := open.(*journal).check(); err != nil {
				tb.Error(err)
			}
		},
	}
}

func TestJournal(t *testing.T) {
	storetest.Run(t, journals())
}

func TestJournal_Model(t *testing.T) {
	storetest.RunModel(t, journals(), storetest.Config{
		Open: func(testing.TB) eventstore.Store { return memstore.New(nil) },
	})
}
