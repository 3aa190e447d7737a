package workload

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/yore-es/yore/internal/prooftest/proof"
	"github.com/yore-es/yore/internal/prooftest/simfs"
)

// kept is a wrong image. Its files are kept beside it.
type kept struct {
	What   string // the trace that it is an image of
	Params Params
	Marks  []string // until the power loss
	Sizes  map[string]int64
	Moment int
	How    string
}

// KeepImage keeps a wrong image, with the marks until the power loss, and returns an
// error that says so. [ReplayKept] is its Replay.
func KeepImage(env *proof.Env, what string, p Params, marks []string, image simfs.Image, wrong *Wrong) error {
	k := kept{What: what, Params: p, Marks: marks, Sizes: make(map[string]int64), Moment: image.Moment, How: image.How}
	files := make(map[string][]byte)
	for name, f := range image.Disk {
		k.Sizes[name] = f.Size
		files[name] = bytes.TrimRight(f.Data, "\x00")
	}
	return env.Keep(fmt.Errorf("%s, power loss after operation %d (%s): %w", what, k.Moment, k.How, wrong), k, files)
}

// ReplayKept checks a kept image again.
func ReplayKept(ctx context.Context, env *proof.Env, raw json.RawMessage, dir string) (err error) {
	var k kept
	if err := json.Unmarshal(raw, &k); err != nil {
		return fmt.Errorf("%w: the case has no image; run the proof with its seed", err)
	}
	disk := make(simfs.Disk)
	for name, size := range k.Sizes {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		disk[name] = simfs.File{Size: size, Data: data}
	}
	verifier, err := NewVerifier(ctx, env)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, verifier.Close()) }()
	if err := verifier.Begin(k.Params, k.Marks); err != nil {
		return err
	}
	_, err = verifier.Check(disk, len(k.Marks))
	return err
}
