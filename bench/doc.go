// Package bench measures the built programs as their users meet them, each beside a program of others that does the same
// work on the same machine in the same run. `make bench-peers` runs it; the figures are in docs/performance.md.
//
// The peers are built from public Go modules and belong to this module alone, so that nothing of theirs is in Slipway's.
// The registry is measured as slipway-registry-alone, which is the server without the cluster that pushes and pulls do not need. It
// writes some gigabytes.
//
// Costs of single packages are benchmarks of those packages (`make bench`), and the whole round of a push is
// `make bench-round`.
package bench
