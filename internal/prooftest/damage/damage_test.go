package damage_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/internal/prooftest/damage"
	"github.com/yore-es/yore/internal/prooftest/sample"
)

// TestExamine_TellsDamageFromNone examines a changed payload, an unchanged file, and a
// file whose content is not what the sample says.
func TestExamine_TellsDamageFromNone(t *testing.T) {
	for _, indexed := range []bool{true, false} {
		dir, path := t.TempDir(), filepath.Join(t.TempDir(), "damaged.yore")
		_, err := sample.New(t.Context(), t.TempDir(), dir, sample.Build{Seed: 2, Indexed: indexed})
		require.NoError(t, err)
		known, content, err := sample.Load(dir)
		require.NoError(t, err)
		at := bytes.Index(content, known.Events[7].Data)
		require.Positive(t, at)
		flipped := damage.Edit{Offset: at, Bytes: []byte{content[at] + 1}}
		examine := func(known *sample.Sample, c damage.Case) sample.Outcome {
			return damage.Examine(t.Context(), known, content, path, c, nil)
		}
		for _, readOnly := range []bool{false, true} {
			o := examine(known, damage.Case{ReadOnly: readOnly})
			require.Equal(t, sample.Harmless, o.Class, o)
			require.Equal(t, !readOnly, o.Appended)
			o = examine(known, damage.Case{ReadOnly: readOnly, Edits: []damage.Edit{flipped}})
			require.NotEqual(t, sample.Harmless, o.Class, o)
			require.True(t, o.Told)
			lie := *known
			lie.Events = append(lie.Events[:0:0], lie.Events...)
			lie.Events[9].Data = []byte("something else")
			o = examine(&lie, damage.Case{ReadOnly: readOnly})
			require.Equal(t, sample.Failed, o.Class)
			require.Positive(t, o.Kinds["wrong: Read"], o)
		}
	}
}
