package boltstore_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// How to watch a task that goes over the log: all of them report an [eventstore.Progress]. The
// total of an import is 0, since it does not know where its lines end. The last call may come
// before the end of a task.
func Example_progress() {
	defer inShop()()
	ctx := context.Background()
	store, err := boltstore.Open("shop.yore", nil)
	check(err)
	sales := slices.Repeat([]eventstore.NewEvent{{Type: "shop.sold"}}, 5_000)
	_, err = eventstore.AppendTo(ctx, store, "till-1", eventstore.Any, sales...)
	check(err)

	var backup, lines bytes.Buffer
	last := make(map[string]eventstore.Progress)
	watch := func(task string) func(eventstore.Progress) {
		return func(p eventstore.Progress) { last[task] = p } // a program would print it
	}
	_, err = store.Verify(ctx, &boltstore.VerifyOptions{Progress: watch("verify")})
	check(err)
	_, err = store.Backup(ctx, &backup, &boltstore.BackupOptions{Progress: watch("backup")})
	check(err)
	_, err = store.Export(ctx, &lines, &boltstore.ExportOptions{Progress: watch("export")})
	check(err)
	check(store.Close())
	_, err = boltstore.Restore(ctx, "restored.yore", &boltstore.RestoreOptions{Progress: watch("restore")}, &backup)
	check(err)
	_, err = boltstore.Import(ctx, "imported.yore", &lines, &boltstore.ImportOptions{Progress: watch("import")})
	check(err)
	_, err = boltstore.Compact(ctx, "shop.yore", &boltstore.CompactOptions{Progress: watch("compact")})
	check(err)
	_, err = boltstore.Reindex(ctx, "shop.yore", &boltstore.ReindexOptions{Progress: watch("reindex")})
	check(err)
	_, err = boltstore.Salvage(ctx, "shop.yore", "saved.yore", &boltstore.SalvageOptions{Progress: watch("salvage")})
	check(err)

	for _, task := range []string{"verify", "backup", "export", "restore", "import", "compact", "reindex", "salvage"} {
		fmt.Println(task, last[task].Done, "of", last[task].Total, "positions")
	}
	// Output:
	// verify 5000 of 5000 positions
	// backup 5000 of 5000 positions
	// export 5000 of 5000 positions
	// restore 5000 of 5000 positions
	// import 5000 of 0 positions
	// compact 5000 of 5000 positions
	// reindex 5000 of 5000 positions
	// salvage 4096 of 5000 positions
}
