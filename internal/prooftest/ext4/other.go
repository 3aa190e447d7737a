//go:build !linux

// Package ext4 proves that power losses take nothing under a real ext4, which exists
// on Linux only.
package ext4

import (
	"context"

	"github.com/yore-es/yore/internal/prooftest/proof"
)

// New returns the proof.
func New() proof.Proof {
	return proof.Proof{
		Name:  "ext4",
		About: "power losses under a real ext4 (on Linux only)",
		Run: func(context.Context, *proof.Env) (proof.Figures, error) {
			return nil, &proof.Skip{Reason: "this is not Linux"}
		},
	}
}
