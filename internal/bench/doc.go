// Command bench measures the engine against what its file allows.
//
//	go run ./internal/bench          # as long as it takes to be trusted
//	go run ./internal/bench -quick   # in less than a minute, from smaller logs
//	go run ./internal/bench -list    # the rows, what each is and what it must reach
//
// A figure alone says more about the disk than about the engine. So each row of the
// table has a baseline, which is measured beside it, in turn: baseline, row,
// baseline, row … baseline. The result is the ratio, row over baseline.
//
//	append/w64   16210 events/s   baseline 25870   ratio 0.627   ≥ 0.6   ok
//
// A round is a measurement of the row with the median of the baselines around it. A
// row shows the round whose ratio is the median of all rounds, so the three numbers
// of a line belong together. Without -quick there are at least three rounds of each
// row. With -quick there is one round of the rows growth, memory and size, and logs
// are smaller where a note under the table says so.
//
// The baselines are in this package (floor.go, twin.go), on raw bbolt and with the
// options that the engine opens its file with:
//
//   - floor(n): one bucket, keys of 8 bytes in order, n values in a transaction,
//     each as long as the engine's record of the event;
//   - one-tx: a transaction for each append, with a key in the log and one in the
//     stream, as embedded stores do;
//   - the twin of a log: a file with values as long as the log's records under the
//     same keys, read with a copy of each value.
//
// All appends of the engine, and all transactions of the floors, are durable. So the
// files must lie on a disk (-dir), and the machine should be idle otherwise.
package main
