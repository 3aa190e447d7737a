//go:build !linux

package inuse

import "fmt"

func (t *tester) mountDisk() (string, error) { return "", fmt.Errorf("%w: this is not Linux", errSkip) }

func (t *tester) remount() error { return errSkip }

func (t *tester) stopDisk(string) error { return errSkip }
