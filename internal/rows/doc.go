// Package rows holds what the stores and the projections share about rows: a
// buffer of writes over what is stored.
//
// A [Buffer] is an overlay. Puts stay in it; Get and Scan answer as if they had
// been written to the base already. A view is given one as its RowTx, and when
// it is done, Rows are the changes to commit. A Buffer is a base too, so that
// they nest: over the store one for a group of commits, and over that one for
// each commit, which is merged into the group's if its view comes to a good end
// and forgotten otherwise:
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
// Who writes a view has a [Cache] between the store and the first of them: nobody
// else changes its rows, so what was read or committed need not be read again.
//
// # When a view's time is up
//
// The goroutine of a view that takes too long goes on for as long as it likes.
// Close is called by another goroutine then. It waits for the call in progress,
// if there is one, but never for the view's own code, such as the body of a
// loop over Scan; once it has returned, nothing that the view does reaches the
// buffer or its base.
package rows
