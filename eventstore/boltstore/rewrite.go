package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
)

// source is a log file, open and locked, from which a new one is made.
type source struct {
	db   *bolt.DB
	file *file
	info eventstore.Info
}

// openSource opens the file and keeps others from it. With readable it makes do
// with a file that cannot be written any more, because its list of free pages is
// damaged; then there may be readers beside it, but no writer.
func openSource(path string, lockTimeout time.Duration, readable bool) (*source, error) {
	opts := openOptions{lockTimeout: lockTimeout}
	db, f, err := openFile(path, opts)
	if readable && errors.Is(err, eventstore.ErrCorrupt) {
		opts.readOnly = true
		db, f, err = openFile(path, opts)
	}
	if err != nil {
		return nil, err
	}
	s := &source{db: db, file: f}
	err = s.view(func(tx *bolt.Tx) (err error) {
		s.info, err = loadInfo(tx)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// close lets go of the file. It may be called more than once.
func (s *source) close() error { return guard(s.db.Close) }

// viewer returns what reads the file.
func (s *source) viewer() viewer { return viewer{usable: context.Context.Err, view: s.view} }

// view runs fn in a read transaction.
func (s *source) view(fn func(*bolt.Tx) error) error {
	return guard(func() error { return s.db.View(fn) })
}

// rewriteOptions say how a file is rewritten.
type rewriteOptions struct {
	lockTimeout time.Duration
	views       bool // copy them too
	readable    bool // as openSource has it
	progress    func(done, of eventstore.Position)
}

// rewritten says what a file has become.
type rewritten struct {
	head          eventstore.Position
	views, rows   int
	before, after int64 // bytes
}

// rewrite puts a new file with the same log in the place of the one at path. All
// that is in the new file was checked on the way, and the index was made from the
// records. Until it is in its place, and on any error, the old one is as it was.
func rewrite(ctx context.Context, path string, o rewriteOptions) (result rewritten, err error) {
	path, err = filepath.EvalSymlinks(path) // replace the file, not a link to it
	if err != nil {
		return rewritten{}, err
	}
	src, err := openSource(path, o.lockTimeout, o.readable)
	if err != nil {
		return rewritten{}, err
	}
	defer func() { err = errors.Join(err, src.close()) }()
	b, err := newBuilder(path, buildOptions{id: src.info.StoreID, epoch: src.info.Epoch, mode: src.file.info.Mode().Perm()})
	if err != nil {
		return rewritten{}, err
	}
	defer func() { err = errors.Join(err, b.abandon()) }()
	b.replaces = src
	if result.head, err = copyLog(ctx, src, b, o.progress); err != nil {
		return rewritten{}, err
	}
	if o.views {
		if result.views, result.rows, err = copyViews(ctx, src, b); err != nil {
			return rewritten{}, err
		}
	}
	if err := ctx.Err(); err != nil {
		return rewritten{}, err
	}
	if err := b.finish(true); err != nil {
		return rewritten{}, err
	}
	result.before = src.file.info.Size()
	now, err := os.Stat(path)
	if err != nil {
		return rewritten{}, err
	}
	result.after = now.Size()
	return result, nil
}

// copyLog adds all records of the source, and returns its head.
func copyLog(ctx context.Context, src *source, b *builder, progress func(done, of eventstore.Position)) (head eventstore.Position, err error) {
	err = src.view(func(tx *bolt.Tx) (err error) {
		head, _, err = loadHead(tx)
		return err
	})
	if err != nil {
		return 0, err
	}
	return head, copyRecords(ctx, src.viewer(), 1, head, func(page *recordPage) error {
		for p, rec := range page.all() {
			if err := b.add(p, rec); err != nil {
				return err
			}
		}
		if progress != nil {
			progress(page.last(), head)
		}
		return nil
	})
}

// copyViews adds all views of the source: those that have a checkpoint. What
// rows others have is left of views that were being dropped.
func copyViews(ctx context.Context, src *source, b *builder) (views, rows int, err error) {
	sealed := make(map[eventstore.ViewID][]byte)
	err = src.view(func(tx *bolt.Tx) error {
		checkpoints := tx.Bucket(checkpointsBucket)
		if checkpoints == nil {
			return nil
		}
		return checkpoints.ForEach(func(name, value []byte) error {
			sealed[eventstore.ViewID(name)] = bytes.Clone(value)
			return nil
		})
	})
	if err != nil {
		return 0, 0, err
	}
	for view, checkpoint := range sealed {
		if err := b.addCheckpoint(view, checkpoint); err != nil {
			return 0, 0, err
		}
		n, err := copyRows(ctx, src, b, view)
		if err != nil {
			return 0, 0, err
		}
		rows += n
	}
	return len(sealed), rows, nil
}

// copyRows adds the rows of a view, a page at a time, and returns how many. They
// must be those that the view's tally says, if it has one.
func copyRows(ctx context.Context, src *source, b *builder, view eventstore.ViewID) (rows int, err error) {
	walk := rowCopy{view: view}
	for !walk.done {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if err := src.view(walk.next); err != nil {
			return 0, err
		}
		for _, row := range walk.page {
			if err := b.addRow(row.view, row.key, row.sealed); err != nil {
				return 0, err
			}
		}
		rows += len(walk.page)
	}
	if walk.tallied && !walk.tally.counts(walk.counted) {
		return 0, fmt.Errorf("%w: view %q: rows are missing, or older than they were: there are %d, and its tally is of %d",
			eventstore.ErrCorrupt, view, walk.counted.rows, walk.tally.rows)
	}
	return rows, nil
}

// rowCopy goes over the rows of a view, a page at a time.
type rowCopy struct {
	view    eventstore.ViewID
	page    []builtRow // the rows, without what was changed since
	tally   tally      // as it is in the file
	tallied bool       // there is one
	counted tally
	from    []byte // the key to go on from; nil: the first row's
	done    bool
}

// next reads the next page.
func (r *rowCopy) next(tx *bolt.Tx) error {
	r.page, r.done = r.page[:0], true
	layers, err := layersOf(tx, r.view)
	if len(layers) == 0 || err != nil {
		return err
	}
	if r.from == nil {
		r.from = firstRow
		if r.tally, r.tallied, err = readTally(tx, viewRows(tx, r.view), r.view); err != nil {
			return err
		}
	}
	cursor := rowCursor{from: r.from, passed: func(e rowEntry) { r.counted.add(e.sealed) }}
	if err := cursor.start(layers); err != nil {
		return err
	}
	for n, size := 0, 0; n < pageEvents && size < pageBytes; n++ {
		e, err := cursor.next()
		if e.key == nil || err != nil {
			return err
		}
		r.from = append(bytes.Clone(e.key), 0)
		if e.value != nil {
			key := bytes.Clone(e.key)
			r.page = append(r.page, builtRow{r.view, key, sealRow(r.view, key, e.value)})
		}
		size += len(e.sealed)
	}
	r.done = false
	return nil
}
