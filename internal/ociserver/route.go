package ociserver

import "strings"

type routeKind int

const (
	routeNone routeKind = iota
	routePing
	routeToken
	routeCatalog
	routeTags
	routeReferrers
	routeManifest
	routeBlob
	routeUploads
	routeUpload
	routeExchange
	routeSearch
	routeSearchPing
	routeACRRepository
	routeACRTags
	routeACRTag
	routeACRManifests
	routeACRManifest
)

// route is a path taken apart: `/v2/NAME/KIND/REFERENCE`, where NAME has slashes of its own.
type route struct {
	kind      routeKind
	name      string // of the repository
	reference string // tag, digest or upload
}

// split takes a path apart from its end, since a repository may be called `a/blobs/uploads` as well.
func split(path string) route {
	if rest, ok := strings.CutPrefix(path, acrPrefix); ok {
		return splitACR(rest)
	}
	rest, ok := strings.CutPrefix(path, "/v2/")
	switch {
	case path == "/oauth2/token":
		return route{kind: routeToken}
	case path == "/oauth2/exchange":
		return route{kind: routeExchange}
	case path == searchPath:
		return route{kind: routeSearch}
	case path == searchPing:
		return route{kind: routeSearchPing}
	case path == "/v2" || ok && rest == "":
		return route{kind: routePing}
	case !ok:
		return route{}
	case rest == "token":
		return route{kind: routeToken}
	case rest == "_catalog":
		return route{kind: routeCatalog}
	}
	parts := strings.Split(rest, "/")
	n := len(parts)
	last, before, third := parts[n-1], "", ""
	if n > 1 {
		before = parts[n-2]
	}
	if n > 2 {
		third = parts[n-3]
	}
	name := func(drop int) string { return strings.Join(parts[:max(n-drop, 0)], "/") }
	switch {
	case third == "blobs" && before == "uploads" && last != "":
		return named(route{routeUpload, name(3), last})
	case third == "blobs" && before == "uploads":
		return named(route{routeUploads, name(3), ""})
	case before == "blobs" && last == "uploads":
		return named(route{routeUploads, name(2), ""})
	case before == "blobs":
		return named(route{routeBlob, name(2), last})
	case before == "manifests":
		return named(route{routeManifest, name(2), last})
	case before == "referrers":
		return named(route{routeReferrers, name(2), last})
	case before == "tags" && last == "list":
		return named(route{routeTags, name(2), ""})
	}
	return route{}
}

func named(r route) route {
	if r.name == "" {
		return route{}
	}
	return r
}
