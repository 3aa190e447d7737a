//go:build !linux || !(amd64 || arm64)

package main

import "fmt"

func dropFromCache(string) error {
	return fmt.Errorf("%w: on this system a file cannot be dropped from the page cache", errSkipped)
}

func inMemory(string) bool { return false }
