// Package feed is a client of registries of packages: of npm's (https://github.com/npm/registry/blob/main/docs/REGISTRY-API.md) and
// of NuGet's version 3 (https://learn.microsoft.com/nuget/api/overview). It finds the version of a package that a pipeline takes, and
// downloads it. It decides nothing and keeps nothing; the server and the agent use it.
package feed
