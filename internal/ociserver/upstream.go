package ociserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/registry"
)

// WithCache makes the door serve images of other registries too: at `/v2/HOST/NAME/…`, and at `/v2/NAME/…?ns=HOST`, as
// containerd and BuildKit ask a mirror. hosts are what image names call this registry itself. Call it before the first
// request.
func (s *Server) WithCache(c *registry.Cache, hosts ...string) *Server {
	s.cache, s.hosts = c, hosts
	return s
}

// mirrored reads `ns`, the registry that an image's name begins with when a client asks this one in its place. Another
// registry's image must not be taken for one of ours that is called alike, save for Docker Hub's, whose short names are
// ours as well; those that were imported under the installation's name are found. asked is the name in the path, when the
// route was given another.
func (s *Server) mirrored(r *http.Request, to route) (_ route, asked string, _ error) {
	if s.cache == nil || to.name == "" || r.URL.RawQuery == "" {
		return to, "", nil
	}
	ns := r.URL.Query().Get("ns")
	if ns == "" || ns == r.Host || slices.Contains(s.hosts, ns) {
		return to, "", nil
	}
	if _, ok := s.cache.Find(to.name); ok {
		return to, "", nil
	}
	if remote, ok := s.cache.FindHost(ns, to.name); ok {
		asked, to.name = to.name, remote.Name()
		return to, asked, nil
	}
	imported := slipway.ImportedImage(ns, to.name)
	switch there, err := s.isThere(r.Context(), imported); {
	case err != nil:
		return to, "", err
	case there:
		asked, to.name = to.name, imported
	case ns != registry.DockerHub:
		to.kind = routeNone
	}
	return to, asked, nil
}

// isThere reports whether this registry has a repository.
func (s *Server) isThere(ctx context.Context, name string) (bool, error) {
	if registry.CheckName(name) != nil {
		return false, nil
	}
	_, err := s.registry.Repository(ctx, name)
	if slipway.CodeOf(err) == slipway.CodeNotFound {
		return false, nil
	}
	return err == nil, err
}

// renamed gives a token whose scope is the name that the client knows what that scope says, under the name that it stands for.
func (q *request) renamed() {
	if q.asked != "" && q.who.Token == identity.TokenRegistry && scoped(q.who.Binding.Scopes, q.asked, pull) {
		q.who.Binding.Scopes = append(slices.Clone(q.who.Binding.Scopes), "repository:"+q.name+":"+pull)
	}
}

// find returns the repository of an upstream that a name stands for.
func (s *Server) find(name string) (registry.Remote, bool) {
	if s.cache == nil {
		return registry.Remote{}, false
	}
	return s.cache.Find(name)
}

// remote is the repository of an upstream that is to be read for the request.
func (s *Server) remote(q *request) (registry.Remote, bool) {
	if q.Method != http.MethodGet && q.Method != http.MethodHead {
		return registry.Remote{}, false
	}
	switch q.kind {
	case routeManifest, routeBlob, routeTags, routeReferrers:
		return s.find(q.name)
	}
	return registry.Remote{}, false
}

// allowUpstream returns nil when p may do action with the copies of an upstream's repository.
func (s *Server) allowUpstream(ctx context.Context, p identity.Principal, r registry.Remote, action string) error {
	switch {
	case p.Kind == slipway.ActorAnonymous || p.Kind == "":
		return slipway.Unauthenticated("sign in with a personal access token as the password")
	case action == push:
		return slipway.Forbidden("%s holds copies of %s's images: push to %s itself, or under the name of a project", r.Name(), r.Upstream.Name, r.Upstream.Name)
	case action == remove:
		return s.identity.Authorize(ctx, p, identity.Administer, "")
	case r.Upstream.Disabled:
		return slipway.NotFound("the upstream %s is switched off", r.Upstream.Name)
	case !r.Upstream.Allows(r.Repository):
		return slipway.Forbidden("the upstream %s is open for %s alone, and %s is none of these: ask an administrator", r.Upstream.Name, strings.Join(r.Upstream.Repositories, ", "), r.Repository)
	case s.opens(ctx, p, r.Upstream):
		return nil
	}
	return slipway.Forbidden("the upstream %s is open to some projects, and you are in none of them: ask an administrator", r.Upstream.Name)
}

// opens reports whether the upstream is open to p.
func (s *Server) opens(ctx context.Context, p identity.Principal, u registry.Upstream) bool {
	switch p.Kind {
	case slipway.ActorNode, slipway.ActorSystem: // pods of all projects run on a node
		return true
	case slipway.ActorUser:
		return len(u.Projects) == 0 || slices.ContainsFunc(u.Projects, func(id slipway.ProjectID) bool {
			return s.identity.Authorize(ctx, p, identity.Read, id) == nil
		})
	case slipway.ActorJob:
		return len(u.Projects) == 0 || slices.Contains(u.Projects, p.Project)
	}
	return false
}

// mirrors reports whether p may pull through any upstream. Clients ask a mirror for tokens with the image's name alone,
// which does not tell the registry; what the token opens is decided when it is used.
func (s *Server) mirrors(ctx context.Context, p identity.Principal) bool {
	return s.cache != nil && slices.ContainsFunc(s.cache.Enabled(), func(u registry.Upstream) bool { return s.opens(ctx, p, u) })
}

// fromUpstream answers with an upstream's content. What was imported goes before it, and so do our own images under Docker Hub's short names.
func (s *Server) fromUpstream(w http.ResponseWriter, q *request, r registry.Remote, ours handler) error {
	if q.asked != "" && q.kind != routeReferrers && q.kind != routeTags {
		own := []string{slipway.ImportedImage(r.Upstream.Name, q.asked)}
		if r.Upstream.Name == registry.DockerHub && own[0] != q.asked {
			own = append(own, q.asked)
		}
		for _, name := range own {
			there, err := s.isThere(q.Context(), name)
			if err != nil {
				return err
			}
			if !there {
				continue
			}
			local := *q
			local.name = name
			local.renamed()
			err = ours(s, w, &local)
			switch slipway.CodeOf(err) {
			case slipway.CodeNotFound, slipway.CodeForbidden, slipway.CodeUnauthenticated: // nothing is written yet
			default:
				return err
			}
		}
	}
	if _, err := s.allow(q.Context(), q.who, q.name, pull); err != nil {
		return err
	}
	switch q.kind {
	case routeManifest:
		return s.upstreamManifest(w, q, r)
	case routeBlob:
		return s.upstreamBlob(w, q, r)
	case routeTags:
		return s.upstreamTags(w, q, r)
	}
	return s.upstreamReferrers(w, q, r)
}

// warn says that what follows may be old (RFC 7234, section 5.5).
func warn(w http.ResponseWriter, text string) {
	if text != "" {
		w.Header().Set("Warning", "111 slipway "+strconv.Quote(text))
	}
}

// retryAfter passes on when an upstream may be asked again.
func (s *Server) retryAfter(w http.ResponseWriter, err error) {
	if s.cache == nil {
		return
	}
	if d := s.cache.RetryAfter(err); d > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((d+time.Second-1)/time.Second)))
	}
}

func (s *Server) upstreamManifest(w http.ResponseWriter, q *request, r registry.Remote) error {
	c, err := s.cache.Manifest(q.Context(), r, q.reference)
	if err != nil {
		return err
	}
	warn(w, c.Warning)
	contentHeaders(w, c.MediaType, string(c.Digest))
	if string(c.Digest) != q.reference {
		w.Header().Set("Cache-Control", "private, no-cache") // a tag moves
	}
	http.ServeContent(w, q.Request, "", time.Time{}, bytes.NewReader(c.Bytes))
	return nil
}

func (s *Server) upstreamBlob(w http.ResponseWriter, q *request, r registry.Remote) error {
	d, err := digest(q.reference)
	if err != nil {
		return err
	}
	if q.Method == http.MethodHead {
		size, err := s.cache.StatBlob(q.Context(), r, d)
		if err != nil {
			return err
		}
		contentHeaders(w, "application/octet-stream", string(d))
		w.Header().Set("Content-Length", fmt.Sprint(size))
		w.Header().Set("Accept-Ranges", "bytes")
		w.WriteHeader(http.StatusOK)
		return nil
	}
	o, err := s.cache.OpenBlob(q.Context(), r, d)
	if err != nil {
		return err
	}
	defer o.Close()
	contentHeaders(w, "application/octet-stream", string(d))
	http.ServeContent(w, q.Request, "", time.Time{}, o)
	return nil
}

func (s *Server) upstreamTags(w http.ResponseWriter, q *request, r registry.Remote) error {
	n, last, err := page(q.Request)
	if err != nil {
		return err
	}
	list, err := s.cache.Tags(q.Context(), r, last, n)
	if err != nil {
		return err
	}
	warn(w, list.Warning)
	if list.More && len(list.Names) > 0 {
		path := "/v2/" + q.name + "/tags/list"
		if q.asked != "" {
			path = "/v2/" + q.asked + "/tags/list"
		}
		query := url.Values{"n": {strconv.Itoa(n)}, "last": {list.Names[len(list.Names)-1]}}
		if ns := q.URL.Query().Get("ns"); ns != "" {
			query.Set("ns", ns)
		}
		next(w, path, query)
	}
	writeJSON(w, http.StatusOK, "application/json", map[string]any{"name": q.name, "tags": list.Names})
	return nil
}

func (s *Server) upstreamReferrers(w http.ResponseWriter, q *request, r registry.Remote) error {
	d, err := digest(q.reference)
	if err != nil {
		return err
	}
	list, err := s.cache.Referrers(q.Context(), r, d, q.URL.Query().Get("artifactType"))
	if err != nil {
		return err
	}
	warn(w, list.Warning)
	if list.Filtered {
		w.Header().Set("OCI-Filters-Applied", "artifactType")
	}
	w.Header().Set("Content-Type", registry.TypeOCIIndex)
	w.Header().Set("Content-Length", strconv.Itoa(len(list.Index)))
	_, err = w.Write(list.Index)
	if errors.Is(err, http.ErrBodyNotAllowed) {
		return nil
	}
	return err
}
