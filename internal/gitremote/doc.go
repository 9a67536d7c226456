// Package gitremote lets the git program reach repositories of other hosts, over HTTP and SSH, with limits: it connects to public
// addresses and to networks that are allowed, whatever a name resolves to or a host redirects to, and takes so many bytes and no
// more. Credentials go by the environment and by files that last as long as one command, never by its arguments.
//
// The package starts no git and knows no domain: it gives settings and environment to who does.
package gitremote
