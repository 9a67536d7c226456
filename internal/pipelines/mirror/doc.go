// Package mirror keeps copies of git repositories of other hosts, which pipelines take templates and sources from.
//
// Each is a bare repository below one folder, fetched with the git program over HTTP with limits of time and size (package gitremote), as far as a
// ref needs it. Git reaches the network by a proxy of this process alone, which connects to public addresses and to the networks
// that the administrator allows, whatever a name resolves to or a host redirects to. Credentials go by the environment.
//
// The package knows no pipelines and no connections.
package mirror
