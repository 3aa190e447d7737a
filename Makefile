# The few commands of CONTRIBUTING.md. Without make, type what stands here.

.PHONY: test lint ci surface golden proofs bench release-try

test: # everything but the race detector, the examples, fuzzing and the proofs
	go test ./...

lint: # vet, the linter and the workflow files; installs the linters under .ci/bin
	go vet ./...
	bash -ec '. .ci/tools.sh; "$$lint" run --allow-parallel-runners ./...; "$$actionlint" .github/workflows/*.yml'

ci: # all that must hold before a change lands; 15 to 30 minutes
	bash .ci/run

surface: # write the lists of exported names anew; look at the diff
	go test ./internal/surface -update

golden: # write a golden file for a new file format
	go test ./eventstore/boltstore -run Golden -update

proofs: # the proofs of durability, in their short form; minutes
	go run ./internal/prooftest -short

bench: # how fast each part is, as a ratio within one run
	go run ./internal/bench -quick

release-try: # cut a version in a scratch clone, and build a user's program from it
	go run ./internal/release try
