package boltstore_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// TestRestore_AnExportIsNoBackup: Restore refuses an export, and Import a backup. The error
// names the function that reads it.
func TestRestore_AnExportIsNoBackup(t *testing.T) {
	s, _ := fullLog(t, 3)
	backup, _ := backUp(t, s, 0)
	var lines bytes.Buffer
	_, err := s.Export(t.Context(), &lines, nil)
	require.NoError(t, err)

	_, err = boltstore.Restore(t.Context(), logPath(t), nil, &lines)
	require.ErrorIs(t, err, eventstore.ErrFormat)
	require.ErrorContains(t, err, "Import")
	_, err = boltstore.Import(t.Context(), logPath(t), bytes.NewReader(backup), nil)
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.ErrorContains(t, err, "Restore")
}
