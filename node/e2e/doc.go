// Package e2e holds the tests that run the built node on this machine, as root: what people do with a cluster, a crash, a stop
// that leaves nothing. They know the node by its program, its configuration and its output alone.
package e2e
