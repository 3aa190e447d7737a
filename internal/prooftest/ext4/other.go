//go:build !linux

// Package ext4 is the proof that power losses take nothing under a real ext4
// either, which only Linux has.
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
