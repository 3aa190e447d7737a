# To be sourced: sets lint, deadcode and actionlint to the programs that the checks need
# beside Go, of these versions, and installs under .ci/bin what is missing.
TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/bin

# tool installs a program with the go command, and sets the variable of its name.
tool() {
	local package=$1 version=$2 name=${1##*/}
	local path=$TOOLS/$name-$version
	if [ ! -x "$path" ]; then
		GOBIN=$TOOLS go install "$package@$version" || return
		mv "$TOOLS/$name" "$path" || return
	fi
	printf -v "${3:-$name}" %s "$path"
}

tool github.com/golangci/golangci-lint/v2/cmd/golangci-lint v2.15.0 lint
tool golang.org/x/tools/cmd/deadcode v0.52.0
tool github.com/rhysd/actionlint/cmd/actionlint v1.7.12
