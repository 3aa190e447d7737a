package leaks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/prooftest/fold"
)

// ways returns all ways. Those that need a log copy the one that it makes in
// scratch.
func ways(ctx context.Context, scratch string) ([]way, error) {
	u := &user{ctx: ctx, log: filepath.Join(scratch, "made.yore")}
	if err := u.make(); err != nil {
		return nil, err
	}
	return []way{
		{"create, append and close", u.create},
		{"read, follow and keep views", u.use},
		{"leave loops early", u.leave},
		{"close under followers", u.closeUnder},
		{"a view that overruns", u.overrun},
		{"be refused the lock", u.locked},
		{"many readers", u.readers},
		{"a disk that is full", u.full},
		{"a file that is taken away", u.removed},
		{"verify, back up, restore", u.backup},
		{"a backup that breaks off", u.brokenBackup},
		{"export and import", u.export},
		{"an import that is refused", u.brokenImport},
		{"compact and rebuild", u.compact},
		{"open what is no log", u.garbage},
		{"open a log that was cut short", u.cut},
		{"open a damaged log", u.damaged},
		{"salvage a damaged log", u.salvage},
	}, nil
}

type user struct {
	ctx     context.Context
	log     string
	content []byte // of the log
}

// make makes the log that is copied.
func (u *user) make() error {
	if err := u.with(u.log, nil, func(s *boltstore.Store) error {
		if err := s.Attach(u.ctx, fold.Inline("inline")); err != nil {
			return err
		}
		return u.append(s, 300)
	}); err != nil {
		return err
	}
	content, err := os.ReadFile(u.log)
	u.content = bytes.TrimRight(content, "\x00")
	u.content = append(u.content, make([]byte, len(content)%os.Getpagesize())...)
	return err
}

// with opens a store, calls do, and closes the store.
func (u *user) with(path string, o *boltstore.Options, do func(*boltstore.Store) error) error {
	s, err := boltstore.Open(path, o)
	if err != nil {
		return err
	}
	return errors.Join(do(s), s.Close())
}

func (u *user) append(s *boltstore.Store, n int) error {
	for i := range n {
		e := eventstore.NewEvent{Type: "t", Data: make([]byte, 100), Tags: []eventstore.Tag{"tag"}}
		if _, err := eventstore.AppendTo(u.ctx, s, eventstore.StreamID(fmt.Sprint("s-", i%5)), eventstore.Any, e); err != nil {
			return err
		}
	}
	return nil
}

// copy makes a copy of the log in the directory.
func (u *user) copy(dir string) (string, error) {
	path := filepath.Join(dir, "log.yore")
	info, err := os.Stat(u.log)
	if err != nil {
		return "", err
	}
	return path, errors.Join(os.WriteFile(path, u.content, 0o600), os.Truncate(path, info.Size()))
}

// onCopy is with for a copy of the log.
func (u *user) onCopy(dir string, o *boltstore.Options, do func(*boltstore.Store) error) error {
	path, err := u.copy(dir)
	if err != nil {
		return err
	}
	return u.with(path, o, do)
}

func (u *user) create(dir string) error {
	return u.with(filepath.Join(dir, "new.yore"), nil, func(s *boltstore.Store) error { return u.append(s, 5) })
}

func (u *user) use(dir string) error {
	return u.onCopy(dir, nil, func(s *boltstore.Store) error {
		if err := s.Attach(u.ctx, fold.Inline("inline")); err != nil {
			return err
		}
		ctx, cancel := context.WithCancel(u.ctx)
		done := make(chan error)
		go func() {
			var err error
			for _, err = range s.Follow(ctx, eventstore.All(), 0) {
			}
			done <- err
		}()
		err := u.append(s, 5)
		for _, readErr := range s.Read(u.ctx, eventstore.Stream("s-1"), eventstore.ReadOptions{}) {
			err = errors.Join(err, readErr)
		}
		cancel()
		if ended := <-done; !errors.Is(ended, context.Canceled) {
			return fmt.Errorf("the follower ended with %w", ended)
		}
		return err
	})
}

func (u *user) leave(dir string) error {
	return u.onCopy(dir, nil, func(s *boltstore.Store) error {
		var readErr, followErr, scanErr error
		for _, readErr = range s.Read(u.ctx, eventstore.All(), eventstore.ReadOptions{}) {
			break
		}
		for _, followErr = range s.Follow(u.ctx, eventstore.All(), 0) {
			break
		}
		for _, scanErr = range s.ScanRows(u.ctx, "inline", eventstore.RowScan{Table: fold.Events}) {
			break
		}
		if err := errors.Join(readErr, followErr, scanErr); err != nil {
			return err
		}
		ctx, cancel := context.WithCancel(u.ctx)
		cancel()
		if _, err := s.Append(ctx, eventstore.Commit{Events: []eventstore.NewEvent{{Type: "t"}}}); !errors.Is(err, context.Canceled) {
			return fmt.Errorf("append under a cancelled context gives %w", err)
		}
		return nil
	})
}

func (u *user) closeUnder(dir string) error {
	const followers = 5
	ended := make(chan error, followers)
	err := u.onCopy(dir, nil, func(s *boltstore.Store) error {
		live := make(chan struct{}, followers)
		for range followers {
			go func() {
				for batch, err := range s.Follow(u.ctx, eventstore.All(), 0) {
					if err != nil {
						ended <- err
					} else if batch.Live {
						live <- struct{}{}
					}
				}
			}()
		}
		for range followers {
			<-live
		}
		return nil
	})
	for range followers {
		if end := <-ended; !errors.Is(end, eventstore.ErrClosed) {
			err = errors.Join(err, fmt.Errorf("a follower ended with %w", end))
		}
	}
	return err
}

// overrun closes the store while a view is late.
func (u *user) overrun(dir string) error {
	return u.onCopy(dir, nil, func(s *boltstore.Store) error {
		var slow atomic.Bool
		late := eventstore.InlineView{View: "late", Query: eventstore.All(), Timeout: 50 * time.Millisecond,
			Apply: func(ctx context.Context, _ eventstore.RowTx, _ []eventstore.Event) error {
				if slow.Load() {
					<-ctx.Done()
					time.Sleep(2 * time.Millisecond) // it does not look at the context
				}
				return nil
			}}
		if err := s.Attach(u.ctx, late); err != nil {
			return err
		}
		slow.Store(true)
		return u.append(s, 2)
	})
}

func (u *user) locked(dir string) error {
	return u.onCopy(dir, nil, func(s *boltstore.Store) error {
		path := filepath.Join(dir, "log.yore")
		for _, readOnly := range []bool{false, true} {
			_, err := boltstore.Open(path, &boltstore.Options{ReadOnly: readOnly, LockTimeout: time.Millisecond})
			if !errors.Is(err, eventstore.ErrLocked) {
				return fmt.Errorf("a second opener gets %w", err)
			}
		}
		return u.append(s, 1)
	})
}

func (u *user) readers(dir string) error {
	reading := &boltstore.Options{ReadOnly: true}
	return u.onCopy(dir, reading, func(*boltstore.Store) error {
		path := filepath.Join(dir, "log.yore")
		return u.with(path, reading, func(s *boltstore.Store) error {
			if err := u.append(s, 1); !errors.Is(err, eventstore.ErrReadOnly) {
				return fmt.Errorf("append to what is read-only gives %w", err)
			}
			return nil
		})
	})
}

// full limits the size of files, as a full disk does, and then lifts the limit.
func (u *user) full(dir string) error {
	return u.onCopy(dir, nil, func(s *boltstore.Store) error {
		var limit syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			return err
		}
		small := limit
		small.Cur = 1 << 20
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &small); err != nil {
			return err
		}
		big := eventstore.NewEvent{Type: "t", Data: make([]byte, 12<<20)}
		_, fullErr := eventstore.AppendTo(u.ctx, s, "s-1", eventstore.Any, big)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			return err
		}
		if !errors.Is(fullErr, syscall.EFBIG) {
			return fmt.Errorf("append to a file that must not grow gives %w", fullErr)
		}
		return u.append(s, 2)
	})
}

// removed removes the file under the store, which must then refuse events.
func (u *user) removed(dir string) error {
	return u.onCopy(dir, nil, func(s *boltstore.Store) error {
		if err := os.Remove(filepath.Join(dir, "log.yore")); err != nil {
			return err
		}
		if err := u.append(s, 2); !errors.Is(err, eventstore.ErrFailed) {
			return fmt.Errorf("append to a file that is gone gives %w", err)
		}
		return nil
	})
}
