// Package bake reads bake files and compose files: what `docker buildx bake` and `docker compose build` are to build.
//
// It owns what the files mean, as buildx and compose have it: groups, targets that inherit from others, matrices, variables and
// functions, several files over one another, and values set on the command line. HCL is evaluated by buildx's own parser, compose
// files are read by the compose specification's own library. It reads files and builds nothing; the values of a target stay in the
// forms of docker's flags.
package bake
