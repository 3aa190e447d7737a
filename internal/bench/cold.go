package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/yore-es/yore/eventstore/boltstore"
)

// scanCold reads the whole log from the disk. Its baseline reads the same file from
// start to end in pieces of 1 MiB. Both are given in MB of the file.
func scanCold(b *bench) (sample, error) {
	shared, err := b.log()
	if err != nil {
		return sample{}, err
	}
	b.smaller("scan/cold", "of %d events", shared.events)
	info, err := os.Stat(shared.path)
	if err != nil {
		return sample{}, err
	}
	megabytes := float64(info.Size()) / 1e6
	return b.beside(
		func() (float64, error) {
			took, err := b.coldScan(shared)
			return megabytes / took.Seconds(), err
		},
		func() (float64, error) {
			took, err := coldRead(shared.path)
			return megabytes / took.Seconds(), err
		},
	)
}

// coldScan returns how long it takes to read all events. It drops the file from the
// page cache again after opening the store, since Open reads a part of it.
func (b *bench) coldScan(shared *sharedLog) (took time.Duration, err error) {
	if err := dropFromCache(shared.path); err != nil {
		return 0, err
	}
	err = withStore(shared.path, func(store *boltstore.Store) error {
		if err := dropFromCache(shared.path); err != nil {
			return err
		}
		begin := time.Now()
		_, err := b.scanRate(store, shared.events)
		took = time.Since(begin)
		return err
	})
	return took, err
}

// coldRead returns how long it takes to read the file.
func coldRead(path string) (time.Duration, error) {
	if err := dropFromCache(path); err != nil {
		return 0, err
	}
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	begin := time.Now()
	piece := make([]byte, 1<<20)
	for at := int64(0); ; at += int64(len(piece)) {
		_, err := file.ReadAt(piece, at)
		if errors.Is(err, io.EOF) {
			return time.Since(begin), nil
		}
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", path, err)
		}
	}
}
