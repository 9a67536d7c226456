#!/usr/bin/env bash
# Builds the clients of others that take minutes to build, helm and cosign, for the tests that drive them.
#
#   test/clients/build.sh FOLDER
#
# Nothing is done when FOLDER holds the result of the very same sources.
set -euo pipefail

if [ $# -ne 1 ]; then
  sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "$0")"
# As the server is built, which shares what it compiles with these.
export GOWORK=off GOFLAGS='-buildvcs=false -tags=netgo,osusergo' CGO_ENABLED=0

exec 9>"$out/.lock"
flock 9
want=$({ go version; sha256sum go.mod go.sum cosign/main.go build.sh; } | sha256sum | cut -d' ' -f1)
[ "$(cat "$out/.digest" 2>/dev/null)" != "$want" ] || exit 0
rm -f "$out/.digest"
../../tools/go-progress helm build -ldflags='-s -w' -o "$out/helm" helm.sh/helm/v4/cmd/helm
../../tools/go-progress cosign build -ldflags='-s -w' -o "$out/cosign" ./cosign
echo "$want" >"$out/.digest"
