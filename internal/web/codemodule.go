package web

import (
	"context"
	"net/url"
	"path"
	"strings"

	"slipway/internal/repos"
)

// modules are the addresses of the submodules of a commit by their paths.
type modules map[string]string

// submodules reads .gitmodules when one of the entries asks for it.
func (p codePages) submodules(ctx context.Context, c codeView, entries []repos.Entry) (modules, error) {
	for _, e := range entries {
		if e.Kind == repos.EntrySubmodule {
			return p.repos.Submodules(ctx, c.id, c.Commit)
		}
	}
	return nil, nil
}

// address is where a submodule is to be seen: in this server's pages when its repository is here, else on the page of its host. It is empty when
// that is not known.
func (m modules) address(c codeView, e repos.Entry) string {
	raw := m[e.Path]
	if raw == "" {
		return ""
	}
	base, err := url.Parse(c.CloneURL)
	if err != nil {
		return ""
	}
	if strings.HasPrefix(raw, "./") || strings.HasPrefix(raw, "../") {
		// git takes the repository's own address for a folder (gitmodules(5)).
		u := *base
		u.Path, u.RawPath = path.Join(base.Path, raw), ""
		return moduleHere(&u, e.Object)
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "ssh" {
		return ""
	}
	u.User = nil
	if u.Hostname() == base.Hostname() {
		return moduleHere(u, e.Object)
	}
	if u.Scheme == "ssh" {
		u.Scheme, u.Host = "https", u.Hostname()
	}
	u.RawQuery, u.Fragment = "", ""
	return u.String()
}

// moduleHere is the page of a repository of this server at a commit: of /PROJECT/_git/NAME or, as by SSH, /v3/ANY/PROJECT/NAME.
func moduleHere(u *url.URL, commit string) string {
	parts := strings.Split(strings.Trim(strings.TrimSuffix(u.Path, ".git"), "/"), "/")
	switch {
	case len(parts) == 3 && parts[1] == "_git":
		parts = []string{parts[0], parts[2]}
	case len(parts) == 4 && parts[0] == "v3":
		parts = parts[2:]
	default:
		return ""
	}
	return "/" + url.PathEscape(parts[0]) + "/_git/" + url.PathEscape(parts[1]) + "?version=GC" + url.QueryEscape(commit)
}
