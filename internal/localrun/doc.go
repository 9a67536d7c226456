// Package localrun runs a pipeline file on the machine where it lies: the same compiler, scheduler and agent as the
// server's, with facts kept in memory and the agents' door served on the loopback interface.
//
// Steps run on the machine itself, or, if their job names a container, in one at docker or podman, where the static agent finds this
// process by a socket. Everything that a run makes there has the process in its name, so that the next one removes what a killed one
// has left. What a run has checked out is the working tree as it is, with what is not committed
// yet; neither the repository nor its index is changed. Deployment jobs are shown and skipped, unless a
// cluster is named.
package localrun
