// Package gitserver is the door for git: the smart HTTP protocol (gitprotocol-http(5), versions 0 to 2) at
// /{project}/_git/{repository}, with or without .git at the end; and the same services over SSH.
//
// It says who calls and whether they may, and joins the request to a git process of package repos; bodies stream
// through in both directions. It knows nothing of refs and packs.
package gitserver
