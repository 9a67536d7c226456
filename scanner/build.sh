#!/bin/bash
# Build slipway-scanner into a folder. Cold, it takes about forty seconds of one processor.
#
#   scanner/build.sh FOLDER
set -euo pipefail

if [ $# -ne 1 ]; then
	sed -n '2,5s/^# \{0,1\}//p' "$0" >&2
	exit 2
fi
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "$0")"
GOWORK=off GOFLAGS='-buildvcs=false -tags=netgo,osusergo' CGO_ENABLED=0 go build -ldflags='-s -w' -o "$out/slipway-scanner" .
