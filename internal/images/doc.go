// Package images builds container images through BuildKit's client, and carries a job's
// connection to the builder through the server.
//
// It owns what a build's options mean, how its progress and failures read, and the tunnel:
//
//	job's pod: Build -> tunnel.Dial == HTTP upgrade ==> server: Tunnel -> builder's socket
//
// It knows no project, run or permission: the door decides who may open a tunnel. It imports
// BuildKit's client alone and none of its daemon, so that the program in a job's pod stays small.
package images
