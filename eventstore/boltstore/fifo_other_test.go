//go:build !linux && !darwin

package boltstore_test

import "errors"

func mkfifo(string) error { return errors.ErrUnsupported }
