package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/backup"
	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/jsonl"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/progress"
	"github.com/yore-es/yore/internal/record"
)

// ImportOptions are the options of Import. Nil and zero values mean the defaults.
type ImportOptions struct {
	// LockTimeout is how long to wait for another opener to close the file before
	// ErrLocked. Zero or negative means 1 second.
	LockTimeout time.Duration
	// FileMode is the permissions of a new file, before the umask. Zero means 0o600.
	FileMode fs.FileMode
	// Progress, if not nil, is called from time to time, on the goroutine of the caller
	// and with no transaction open.
	Progress func(eventstore.Progress)
}

// ImportReport is the result of Import.
type ImportReport struct {
	// Head is the last position of the log afterwards.
	Head eventstore.Position
	// Present is the number of lines whose events the log had already, and Appended the
	// number of new events.
	Present, Appended int
}

// Import reads lines as [Store.Export] writes them, and appends their events to the log at
// path, with the positions, versions, commits, keys, ids and times of the lines. It creates
// the log if there is none; a new log gets a store id of its own.
//
// A line of an event that the log has must agree with the log, and the first later line must
// continue it. So an interrupted import continues when it is run again, and exports made one
// after the other can be imported one after the other.
//
// Each line is held to the limits of one event while it is read, and ends the import where it
// passes one. The context is looked at before each read of r, so within a long line too.
//
// A commit is appended as a whole or not at all. Many commits are written together, and the
// ones before an error stay. The memory of an import is that of some 16 MiB of commits, or of
// the largest commit. Errors name the line. A caller can match ErrInvalid (a line is
// malformed or does not fit the log, or the lines end inside a commit; the error names the
// rule), ErrLocked, ErrFormat, ErrCorrupt (of the log), ErrUnknownOutcome (import again),
// the context's and those of r.
func Import(ctx context.Context, path string, r io.Reader, o *ImportOptions) (ImportReport, error) {
	var opts ImportOptions
	if o != nil {
		opts = *o
	}
	s, err := Open(path, &Options{LockTimeout: opts.LockTimeout, FileMode: opts.FileMode, alone: true})
	if err != nil {
		return ImportReport{}, fmt.Errorf("import: %w", err)
	}
	i := newImporter(ctx, s, r, opts)
	if err = i.run(ctx); err != nil {
		err = fmt.Errorf("import into %s: %w", path, err)
	}
	return i.done, errors.Join(err, s.Close())
}

const (
	importEvents = 32_768   // a transaction is written when it has this many events,
	importBytes  = 16 << 20 // or this many bytes of records and entries, and at the end
)

// importer is one run of Import. No other goroutine writes to the store meanwhile: the
// writer goroutine has no jobs.
type importer struct {
	store  *Store
	lines  *jsonl.Reader
	report func(done, total eventstore.Position)
	done   ImportReport
	log    logfile.Writer

	present *scan // over the events that the log has already
	at      int   // in its page

	last     eventstore.Position // of the line before, 0 before the first
	place    record.Place        // its place in its commit
	recorded time.Time           // and when it was recorded

	contract record.Contract // of stored events
	commit   importCommit    // the one whose lines are being read
	encoded  []byte          // for reuse
	batch    importBatch     // whole commits to be written
}

// importCommit is what the rules of a commit need of the lines read.
type importCommit struct {
	key         string
	names, tags int // bytes of streams, types, codecs and tags; and the number of tags
}

// importBatch has the whole commits that are written in one transaction.
type importBatch struct {
	records [][]byte
	entries []index.Entry
	bytes   int                                        // of records and entries
	chain   record.Chain                               // up to the last of records
	end     logfile.Head                               // after the whole commits
	heads   map[eventstore.StreamID]eventstore.Version // as of its end, of the streams it writes
	keys    map[string]bool
	whole   int // how many of the records make up whole commits
}

func newImporter(ctx context.Context, s *Store, r io.Reader, opts ImportOptions) *importer {
	head := s.tail.last()
	i := &importer{
		store: s, report: progress.Reporter(head.through, opts.Progress), recorded: head.recorded,
		lines: jsonl.NewReader(&usableReader{ctx, s, r}, jsonl.MaxLine(s.info.Limits)),
	}
	i.done.Head = head.through
	i.batch.end = s.end
	i.batch.reset()
	return i
}

// usableReader ends when the context or the store does.
type usableReader struct {
	ctx   context.Context
	store *Store
	r     io.Reader
}

// Read implements io.Reader.
func (u *usableReader) Read(p []byte) (int, error) {
	if err := u.store.usable(u.ctx); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}

func (i *importer) run(ctx context.Context) error {
	err := i.readLines(ctx)
	if ctx.Err() == nil { // whole commits before another error stay
		err = errors.Join(err, i.write())
	}
	return err
}

// readLines reads all lines, and writes all batches except the last.
func (i *importer) readLines(ctx context.Context) error {
	for {
		if err := i.store.usable(ctx); err != nil {
			return err
		}
		line, err := i.lines.Next()
		if errors.Is(err, io.EOF) {
			return i.end()
		}
		if err == nil {
			err = i.line(line)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", i.lines.Number, err)
		}
		if i.batch.full() {
			if err := i.write(); err != nil {
				return err
			}
		}
	}
}

// end checks that the last commit is whole.
func (i *importer) end() error {
	if i.place.I+1 < i.place.N {
		return fmt.Errorf("%w: the lines end after event %d of %d of the commit at position %d; nothing of that commit was appended",
			eventstore.ErrInvalid, i.place.I+1, i.place.N, i.last-eventstore.Position(i.place.I))
	}
	return nil
}

// line takes one line.
func (i *importer) line(line []byte) error {
	if i.lines.Number == 1 && backup.Begins(line) {
		return fmt.Errorf("%w: it is a backup, which Restore reads", eventstore.ErrInvalid)
	}
	r, err := jsonl.ParseLine(line, i.store.info.Limits)
	if err != nil {
		return fmt.Errorf("%w: %w", eventstore.ErrInvalid, err)
	}
	if err := i.checkOrder(&r); err != nil {
		return err
	}
	i.last, i.place = r.Event.Position, r.Place
	if r.Event.Position <= i.done.Head {
		i.done.Present++
		return i.compare(&r)
	}
	return i.take(&r)
}

// checkOrder checks that the line goes on where the one before it, or the log,
// ends.
func (i *importer) checkOrder(r *record.Record) error {
	p, place := r.Event.Position, r.Place
	switch {
	case i.last == 0 && p > i.done.Head+1:
		return fmt.Errorf("%w: position %d, and the log ends at position %d: the positions between are missing", eventstore.ErrInvalid, p, i.done.Head)
	case i.last > 0 && p != i.last+1:
		return fmt.Errorf("%w: position %d follows position %d", eventstore.ErrInvalid, p, i.last)
	}
	want := record.Place{I: 0, N: place.N}
	if i.place.I+1 < i.place.N {
		want = record.Place{I: i.place.I + 1, N: i.place.N}
	}
	if place != want {
		return fmt.Errorf("%w: position %d: event %d of a commit of %d, where event %d of %d comes next",
			eventstore.ErrInvalid, p, place.I, place.N, want.I, want.N)
	}
	return nil
}

// compare compares a line with the event of the log at its position.
func (i *importer) compare(r *record.Record) error {
	p := r.Event.Position
	if i.present == nil {
		i.present = i.store.reader.scan(eventstore.All(), window{from: p, to: i.done.Head})
	}
	for i.at == len(i.present.found) {
		i.at = 0
		if err := i.present.page(logfile.PageEvents); err != nil && len(i.present.found) == 0 {
			return err
		}
	}
	have := &i.present.found[i.at]
	i.at++
	if field := jsonl.Differs(r, have); field != "" {
		return fmt.Errorf("%w: position %d: %s differs from that of the event in the log: it is another log", eventstore.ErrInvalid, p, field)
	}
	return nil
}

// take adds an event to the commit that is being read, and the commit to the
// batch with its last event.
func (i *importer) take(r *record.Record) error {
	e := &r.Event
	b := &i.batch
	switch {
	case e.Recorded.Before(i.recorded):
		return fmt.Errorf("%w: position %d: recorded at %v, the event before it at %v", eventstore.ErrInvalid, e.Position, e.Recorded, i.recorded)
	case r.Place.I > 0 && !e.Recorded.Equal(i.recorded):
		return fmt.Errorf("%w: position %d: recorded at %v, others of its commit at %v", eventstore.ErrInvalid, e.Position, e.Recorded, i.recorded)
	}
	i.recorded = e.Recorded
	if broken := i.contract.Check(r); broken != "" {
		return fmt.Errorf("%w: position %d: %s", eventstore.ErrInvalid, e.Position, broken)
	}
	if err := i.checkVersion(e); err != nil {
		return err
	}
	if err := i.checkCommit(r); err != nil {
		return err
	}
	event := newEventOf(e)
	i.encoded = record.Append(i.encoded[:0], &event, r.Place, r.Mark)
	b.chain = record.Seal(i.encoded, i.store.seed, b.chain, e.Position, e.Version, e.Recorded)
	b.add(bytes.Clone(i.encoded), logfile.IndexEntry(r))
	if r.Place.I+1 == r.Place.N {
		if i.commit.key != "" {
			b.keys[i.commit.key] = true
		}
		b.whole = len(b.records)
		b.end = logfile.Head{Position: e.Position, Chain: b.chain}
	}
	return nil
}

// add adds a record and its index entry.
func (b *importBatch) add(rec []byte, entry index.Entry) {
	const each, tag = 256, 32 // bytes that an event and a tag take besides their names
	b.records = append(b.records, rec)
	b.entries = append(b.entries, entry)
	b.bytes += len(rec) + each + len(entry.Stream) + len(entry.Type) + len(entry.Key)
	for _, t := range entry.Tags {
		b.bytes += tag + len(t)
	}
}

// checkVersion holds the event to I2.
func (i *importer) checkVersion(e *eventstore.Event) error {
	if e.Stream == "" {
		return nil
	}
	head, ok := i.batch.heads[e.Stream]
	if !ok {
		err := i.ask(func(reader *index.Reader) { _, head = reader.Head(e.Stream) })
		if err != nil {
			return err
		}
	}
	if e.Version != head+1 {
		return fmt.Errorf("%w: position %d: version %d of stream %q, where version %d comes next", eventstore.ErrInvalid, e.Position, e.Version, e.Stream, head+1)
	}
	i.batch.heads[e.Stream] = e.Version
	return nil
}

// checkCommit checks the rules that concern several events of a commit: its limits, and that
// its key is new. The Contract has checked the bytes of payload and metadata.
func (i *importer) checkCommit(r *record.Record) error {
	e, c := &r.Event, &i.commit
	if r.Place.I == 0 {
		*c = importCommit{key: r.Key}
	}
	c.names += len(e.Stream) + len(e.Type) + len(e.Codec)
	for _, tag := range e.Tags {
		c.names += len(tag)
	}
	c.tags += len(e.Tags)
	switch limits := i.store.info.Limits; {
	case c.names > limits.CommitBytes:
		return fmt.Errorf("%w: position %d: its commit has more than %d bytes of streams, types, codecs and tags", eventstore.ErrInvalid, e.Position, limits.CommitBytes)
	case c.tags > limits.TagsPerCommit:
		return fmt.Errorf("%w: position %d: its commit has more than %d tags", eventstore.ErrInvalid, e.Position, limits.TagsPerCommit)
	case r.Key == "":
		return nil
	}
	var first eventstore.Position
	if err := i.ask(func(reader *index.Reader) { first = reader.Key(r.Key) }); err != nil {
		return err
	}
	if first > 0 || i.batch.keys[r.Key] {
		return fmt.Errorf("%w: position %d: an earlier commit has its key %q", eventstore.ErrInvalid, e.Position, r.Key)
	}
	return nil
}

// ask asks the index. The log cannot be used in its place, as it could be for a
// few questions: an import asks one for each event.
func (i *importer) ask(question func(*index.Reader)) error {
	indexed, err := i.store.index.ask(i.done.Head, question)
	if err == nil && !indexed {
		err = fmt.Errorf("%w: %w", eventstore.ErrCorrupt, index.ErrUnusable)
	}
	return err
}

// write makes the batch's whole commits durable. It drops the events of a commit that is
// not whole. In that case either the import ends, or further lines of the commit follow and
// the batch is not written.
func (i *importer) write() error {
	b := &i.batch
	if b.whole == 0 {
		return nil
	}
	err := i.store.transact(func(tx *pages.WriteTx, end *logfile.Head) error {
		*end = b.end
		i.log.Begin(tx)
		for n, rec := range b.records[:b.whole] {
			if err := i.log.Put(b.entries[n].Position, rec); err != nil {
				return err
			}
		}
		return i.log.End()
	})
	if err != nil {
		return err
	}
	x := i.store.index.current.Load()
	x.Add(b.whole, func(n int) index.Entry { return b.entries[n] })
	if x.Full() {
		if err := x.Save(ownIndexFile{i.store.index}); err != nil {
			return err
		}
	}
	i.done.Head += eventstore.Position(b.whole)
	i.done.Appended += b.whole
	b.reset()
	if i.report != nil {
		i.report(i.done.Head, 0)
	}
	return nil
}

// full reports whether it is time to write the batch: there is much in it, and
// nothing of a commit that is not whole.
func (b *importBatch) full() bool {
	return b.whole == len(b.records) && (b.whole >= importEvents || b.bytes >= importBytes)
}

func (b *importBatch) reset() {
	clear(b.records) // so that the garbage collector can free what they refer to
	clear(b.entries)
	*b = importBatch{
		records: b.records[:0], entries: b.entries[:0], chain: b.end.Chain, end: b.end,
		heads: make(map[eventstore.StreamID]eventstore.Version), keys: make(map[string]bool),
	}
}

// newEventOf returns the NewEvent that was appended as e.
func newEventOf(e *eventstore.Event) eventstore.NewEvent {
	event := eventstore.NewEvent{
		Stream: e.Stream, ID: e.ID, Type: e.Type, SchemaVersion: e.SchemaVersion, Codec: e.Codec,
		Data: e.Data, Metadata: e.Metadata, Tags: e.Tags,
	}
	if !e.Time.Equal(e.Recorded) {
		event.Time = e.Time
	}
	return event
}
