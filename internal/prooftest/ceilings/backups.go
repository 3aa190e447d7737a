package ceilings

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/record"
)

// backups are backups with right checksums that no store has written.
func backups() []attempt {
	forged := func(name string, ceiling int, says string, write func(*forgery)) attempt {
		return attempt{
			name: "backup: " + name, ceiling: ceiling, deadline: 20 * time.Second, do: refusedBackup(says),
			prepare: func(path string) error { return forge(path, write) },
		}
	}
	event := func(change func(*eventstore.NewEvent)) func(*forgery) {
		return func(f *forgery) {
			e := eventstore.NewEvent{ID: uuid.UUID{1}, Type: "t"}
			change(&e)
			f.event(&e)
		}
	}
	const most = 120 // MiB: a frame of 20 MiB, and the event in it
	return []attempt{
		forged("a frame that claims 4 GiB", most, "too long", func(f *forgery) { f.write([]byte{'r', 0xff, 0xff, 0xff, 0xff}) }),
		forged("a frame that claims 20 MiB", most, "cut short", func(f *forgery) { f.write([]byte{'r', 0x01, 0x3f, 0xff, 0xff}) }),
		forged("an event with a million tags", most, "1000000 tags, at most 128", event(func(e *eventstore.NewEvent) {
			for i := range 1_000_000 {
				e.Tags = append(e.Tags, eventstore.Tag(fmt.Sprint(i)))
			}
		})),
		forged("an event with a million entries of metadata", most, "1000000 entries of metadata, at most 65536", event(func(e *eventstore.NewEvent) {
			e.Metadata = make(eventstore.Metadata)
			for i := range 1_000_000 {
				e.Metadata[fmt.Sprint(i)] = ""
			}
		})),
		forged("an event with 18 MiB of payload", most, "bytes of payload, at most", event(func(e *eventstore.NewEvent) { e.Data = make([]byte, 18<<20) })),
		forged("an event with 18 MiB of metadata", most, "bytes of metadata, at most", event(func(e *eventstore.NewEvent) {
			e.Metadata = eventstore.Metadata{"k": strings.Repeat("v", 18<<20)}
		})),
		forged("an event with an empty type", most, "type is empty", event(func(e *eventstore.NewEvent) { e.Type = "" })),
		forged("a commit of 5 times 16 MiB", 350, "more than 67108864 bytes of payload", func(f *forgery) {
			f.commit = 5
			for range f.commit {
				f.event(&eventstore.NewEvent{ID: uuid.UUID{1}, Type: "t", Data: make([]byte, 16<<20)})
			}
		}),
		forged("an event without an id", most, "its id is zero", event(func(e *eventstore.NewEvent) { e.ID = uuid.Nil })),
		forged("a commit of a million tags", most, "more than 1048576 tags", manyTags),
	}
}

// manyTags adds a commit whose events have as many tags as they may, and all of them too many.
func manyTags(f *forgery) {
	f.commit = 8_193
	for range f.commit {
		e := eventstore.NewEvent{ID: uuid.UUID{1}, Type: "t"}
		for i := range 128 {
			e.Tags = append(e.Tags, eventstore.Tag(fmt.Sprint(i)))
		}
		f.event(&e)
	}
}

// refusedBackup verifies and restores a backup, which both must refuse with a reason.
func refusedBackup(says string) func(context.Context, *place) error {
	return func(ctx context.Context, p *place) error {
		check := func(what string, call func(io.Reader) error) error {
			f, err := os.Open(p.input)
			if err != nil {
				return err
			}
			refused := call(f)
			if err := f.Close(); err != nil {
				return err
			}
			if !errors.Is(refused, eventstore.ErrCorrupt) || !strings.Contains(fmt.Sprint(refused), says) {
				return fmt.Errorf("%s gives %.200q, and should say %q", what, fmt.Sprint(refused), says)
			}
			return nil
		}
		return errors.Join(
			check("VerifyBackup", func(r io.Reader) error {
				_, err := boltstore.VerifyBackup(ctx, r)
				return err
			}),
			check("Restore", func(r io.Reader) error {
				_, err := boltstore.Restore(ctx, p.log(), nil, r)
				return err
			}))
	}
}

// forgery is a backup that is being written, by docs/reference/backup-format.md.
type forgery struct {
	f      *os.File
	events uint64
	commit int // events of the commit, 1 by default
	chain  record.Chain
	err    error
}

// forge writes a backup without its manifest: the events in it are refused before its end.
func forge(path string, write func(*forgery)) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	b := &forgery{f: f, commit: 1}
	const through = 10_000
	header := append([]byte("yore-bak"), 0, 0, 0, 2)
	header = append(header, make([]byte, 16+8+8)...)
	header = binary.BigEndian.AppendUint64(header, through)
	header = append(header, make([]byte, 8+4)...)
	b.write(withSum(header))
	write(b)
	return b.err
}

// event adds the frame of an event.
func (b *forgery) event(e *eventstore.NewEvent) {
	b.events++
	p := eventstore.Position(b.events)
	rec := record.Append(nil, e, record.Place{I: int(b.events-1) % b.commit, N: b.commit}, record.Mark{})
	b.chain = record.Seal(rec, record.SeedOf(uuid.Nil), b.chain, p, 0, time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC))
	frame := binary.BigEndian.AppendUint32([]byte{'r'}, uint32(8+len(rec)))
	frame = binary.BigEndian.AppendUint64(frame, uint64(p))
	b.write(withSum(append(frame, rec...)))
}

func (b *forgery) write(p []byte) {
	_, err := b.f.Write(p)
	b.err = errors.Join(b.err, err)
}

func withSum(b []byte) []byte {
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
}
