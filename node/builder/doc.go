// Package builder runs BuildKit inside one program: a runc worker with its own snapshots, the
// Dockerfile and gateway frontends, registry, inline and local caches, and a size limit.
//
// It owns everything under its state folder, the cgroup of its build steps, and the listener
// that BuildKit's own clients dial. It knows nothing of projects, runs or permissions: whoever
// can reach its socket may build, and credentials come from the client's session alone.
package builder
