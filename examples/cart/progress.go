package main

import (
	"io"
	"os"
	"sync"
	"time"
)

// showProgress shows the progress of the import on a terminal until the returned function
// is called. It shows nothing if w is not a terminal.
func showProgress(w io.Writer, im *importer) (stop func()) {
	if !isTerminal(w) {
		return func() {}
	}
	done := make(chan struct{})
	var shown sync.WaitGroup
	shown.Go(func() {
		errs := &printer{w: w}
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				lines, of := im.done()
				errs.printf("\r%d of %d lines", lines, of)
			case <-done:
				errs.printf("\r\x1b[K")
				return
			}
		}
	})
	return func() { close(done); shown.Wait() }
}

// isTerminal reports whether w is a device that shows characters.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
