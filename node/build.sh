#!/bin/bash
# Build the node's programs into a folder: slipway-node, containerd-shim-runc-v2, runc, pause, cni/*, slipway-builder.
#
#   node/build.sh FOLDER
#
# Nothing is done when FOLDER holds the result of the very same sources. Needs root only to install missing packages.
# Cold, it takes about ten minutes on two cores; after a change of this module's own sources, about one.
set -euo pipefail

if [ $# -ne 1 ]; then
	sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
	exit 2
fi
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "$0")"
# The tags are those of the root module's Makefile: so both share what they compile.
export GOWORK=off GOFLAGS='-buildvcs=false -tags=netgo,osusergo'

kubernetes=v1.37.2
runc=v1.5.2

# One build at a time: two would compile everything twice.
exec 9>"$out/.lock"
flock 9

digest() {
	{
		go version
		find . \( -name '*.go' -o -name '*.c' \) ! -name '*_test.go' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
		sha256sum go.mod go.sum build.sh
	} | sha256sum | cut -d' ' -f1
}
want=$(digest)
if [ -f "$out/.digest" ] && [ "$(cat "$out/.digest")" = "$want" ]; then
	exit 0
fi
rm -f "$out/.digest"

missing=()
for package in gcc libc6-dev pkg-config libseccomp-dev nftables; do
	dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
	echo "node: install ${missing[*]}" >&2
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

# Without these the components call themselves v0.0.0-master, and clients distrust that.
stamp="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
	stamp+=" -X $package.gitVersion=$kubernetes -X $package.gitMajor=1 -X $package.gitMinor=37"
done
stamp+=" -X github.com/containerd/containerd/v2/version.Version=$(go list -m -f '{{.Version}}' github.com/containerd/containerd/v2)"

plugins=github.com/containernetworking/plugins/plugins
export CGO_ENABLED=0
gcc -Os -static -s -o "$out/pause" cmd/pause/pause.c
mkdir -p "$out/cni"
../tools/go-progress "the network plugins" build -ldflags "-s -w" -o "$out/cni/" $plugins/main/ptp $plugins/ipam/host-local $plugins/meta/portmap
../tools/go-progress "the container runtime's shim" build -ldflags "$stamp" -o "$out/containerd-shim-runc-v2" ./cmd/containerd-shim-runc-v2
# runc by its own go.mod: it is pinned and tested with those versions. Static, since the builder takes it into its pod.
CGO_ENABLED=1 GOBIN="$out" ../tools/go-progress runc install -tags seccomp,netgo,osusergo -ldflags "-s -w -extldflags -static" "github.com/opencontainers/runc@$runc"
../tools/go-progress "the image builder" build -ldflags "-s -w" -o "$out/slipway-builder" ./cmd/slipway-builder
../tools/go-progress "the Kubernetes node" build -ldflags "$stamp" -o "$out/slipway-node" ./cmd/slipway-node

echo "$want" >"$out/.digest"
