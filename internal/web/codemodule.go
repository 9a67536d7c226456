package web

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"slipway"
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

// module leads to a submodule's own pages when the path is one's, as differences name it; else there is nothing at the path, which missing says.
func (p codePages) module(w http.ResponseWriter, r *http.Request, c codeView, missing error) error {
	folder := strings.TrimPrefix(path.Dir("/"+c.Path), "/")
	entries, _, err := p.repos.Tree(r.Context(), c.id, c.Commit, folder)
	if err != nil {
		return missing
	}
	i := slices.IndexFunc(entries, func(e repos.Entry) bool { return e.Path == c.Path && e.Kind == repos.EntrySubmodule })
	if i < 0 {
		return missing
	}
	all, err := p.repos.Submodules(r.Context(), c.id, c.Commit)
	if err != nil {
		return err
	}
	address := modules(all).address(c, entries[i])
	if strings.HasPrefix(address, "/") {
		return p.Redirect(w, r, address)
	}
	return slipway.NotFound("%s is a submodule, at commit %s of %s", c.Path, entries[i].Object, cmp.Or(address, "a repository that .gitmodules does not name"))
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
