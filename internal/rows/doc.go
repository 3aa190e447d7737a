// Package rows has the code about rows that the stores and the projections share: a buffer
// of writes over stored rows.
//
// A [Buffer] is an overlay. It keeps what is put; Get and Scan answer as if that had
// been written to the base. A view's Apply gets a Buffer as its RowTx, and when it
// returns, Rows are the changes to commit. A Buffer is a base too, so buffers nest:
// one over the store for a group of commits, and over that one for each commit. A
// commit's buffer is merged into the group's if the view succeeds, and dropped
// otherwise:
//
//	group := rows.New(store)
//	for _, commit := range commits {
//		tx := rows.New(group)
//		err := apply(tx, commit)
//		tx.Close()
//		if err == nil {
//			err = group.Merge(tx)
//		}
//		…
//	}
//
// The writer of a view has a [Cache] between the store and the group's buffer. It is
// the only writer of the view's rows, so a row that was read or committed need not
// be read again.
//
// # Deadlines
//
// A view's goroutine may run on after its deadline. Another goroutine then calls
// Close. Close waits for the method call in progress, if any, but never for the
// view's own code, such as the body of a loop over Scan. After Close has returned,
// the view can no longer reach the buffer or its base.
package rows
