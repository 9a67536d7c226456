// Package debian makes base images without any public image registry: from Debian's packages, the Go toolchain that
// is installed on the machine, and files given to it.
//
// An image is a list of layers and a configuration. A layer is made once and kept as a compressed file under a key of
// its inputs; the same inputs give the same bytes, so the same digest: entries are sorted, times fixed, and what
// Debian's tools write anew each time (logs, caches, machine ids) is left out. Images of packages keep the package
// versions of the day they were made; emptying the folder makes them anew.
//
// It needs root and Debian's programs apt-get, dpkg-deb and, for images of packages, mmdebstrap. It knows nothing of
// the registry but how to push to one.
package debian
