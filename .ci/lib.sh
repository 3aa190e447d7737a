# To be sourced by .ci/run, which says what is done; this says how.

# step begins a step; at the end a table says how many seconds each took.
rows=() current= began=0
step() {
	row
	current=$* began=$SECONDS
	printf '\n== %s (%ss)\n' "$*" "$SECONDS"
}

# row ends the step that was begun last.
row() {
	[ -z "$current" ] || rows+=("$(printf '%8s  %s' $((SECONDS - began)) "$current")")
	current=
}

# beside starts a command beside the steps that follow. Its output is kept for await.
started=()
beside() {
	local name=$1 log=$scratch/job-${#started[@]}
	shift
	set -m # a process group of its own, so that all of it can be ended
	(
		trap 'echo "$SECONDS" >"$log.ended"' EXIT
		"$@"
	) >"$log" 2>&1 </dev/null &
	set +m
	started+=("$! $SECONDS $log $name")
	printf '\n== %s, beside the next steps (%ss)\n' "$name" "$SECONDS"
}

# await waits for the commands that were started beside the steps, prints their output, and
# fails, saying which, if one of them did.
await() {
	local job pid start log name status failed=
	for job in "${started[@]}"; do
		read -r pid start log name <<<"$job"
		status=0
		wait "$pid" || status=$?
		printf '\n-- the output of: %s\n' "$name"
		cat "$log"
		rows+=("$(printf '%8s  %s' $(($(cat "$log.ended") - start)) "$name, beside other steps")")
		[ $status = 0 ] || failed+="failed: $name"$'\n'
	done
	started=()
	printf %s "$failed"
	[ -z "$failed" ]
}

# finish ends what is still running, and prints the table.
finish() {
	local job
	for job in "${started[@]}"; do
		kill -- "-${job%% *}" 2>/dev/null || true
	done
	wait
	rm -rf "$scratch"
	row
	printf '\n%8s  %s\n' seconds step
	printf '%s\n' "${rows[@]}"
	printf '%8s  %s\n' "$SECONDS" "all"
}
scratch=$(mktemp -d)
trap finish EXIT

# debian installs packages whose commands are missing, on a system where that can be done.
debian() {
	local package
	for package; do
		if ! command -v "$package" >/dev/null && command -v apt-get >/dev/null; then
			apt-get install -y "$package" >/dev/null 2>&1 || { apt-get update >/dev/null && apt-get install -y "$package" >/dev/null; } || true
		fi
	done
}

# fuzz runs a fuzz target for a while. Go reports it as a failure, without an input
# that fails, when the time is up in the middle of one; that is tried once more.
fuzz() {
	local out=$scratch/fuzz
	if ! (cd "$1" && go test -run '^$' -fuzz "^$2\$" -fuzztime "$FUZZ_TIME" -fuzzminimizetime 1s .) 2>&1 | tee "$out"; then
		grep -q 'context deadline exceeded' "$out" && ! grep -q 'Failing input' "$out" || return 1
		(cd "$1" && go test -run '^$' -fuzz "^$2\$" -fuzztime "$FUZZ_TIME" -fuzzminimizetime 1s .)
	fi
}

# empty fails, and prints its input, if there is any.
empty() { ! grep .; }
