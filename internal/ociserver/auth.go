package ociserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/registry"
)

// What may be done in a repository, as scopes of tokens name it.
const (
	pull   = "pull"
	push   = "push"
	remove = "delete"
)

const (
	service      = "slipway"
	tokenLife    = 5 * time.Minute // a client whose token ended asks for another
	maxScopes    = 20
	catalogScope = "registry:catalog:*"
	maxTokenForm = 16 << 10 // bytes
	// anonymousToken is what clients without credentials get, since they cannot go on without a token.
	anonymousToken = "anonymous"
)

// errScope says that a token is good, and not for this: clients then ask for another.
var errScope = errors.New("insufficient scope")

func isAnonymousToken(r *http.Request) bool {
	return r.Header.Get("Authorization") == "Bearer "+anonymousToken
}

// authenticate says who calls. A browser's session is no credential here.
func (s *Server) authenticate(r *http.Request) (identity.Principal, error) {
	if isAnonymousToken(r) || r.Header.Get("Authorization") == "" {
		return identity.Anonymous, nil
	}
	who, err := s.identity.Authenticate(r)
	if _, password, ok := r.BasicAuth(); ok && slipway.CodeOf(err) == slipway.CodeUnauthenticated {
		err = s.attempts.wrong(r, password, err)
	}
	return who, err
}

// installation reports names that belong to no project.
func installation(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	return first == "library" || first == "slipway"
}

// allow returns the repository of that name when p may do action there, else why not. One that is not there yet, or that holds
// copies of an upstream's, has no ID; Project is then the one to which it would belong.
func (s *Server) allow(ctx context.Context, p identity.Principal, name, action string) (registry.Repository, error) {
	if err := registry.CheckName(name); err != nil {
		return registry.Repository{}, err
	}
	repo, err := s.mayHave(ctx, p.InRegistry(), name, action)
	if err == nil && p.Token == identity.TokenRegistry && !scoped(p.Binding.Scopes, name, action) {
		return registry.Repository{}, slipway.Unauthenticated("this token does not allow %s of %s", action, name).Because(errScope)
	}
	return repo, err
}

// mayHave is allow whatever the scopes of a token: who could get no scope for it reads why, and not that the token has none.
func (s *Server) mayHave(ctx context.Context, p identity.Principal, name, action string) (registry.Repository, error) {
	if remote, ok := s.find(name); ok {
		return registry.Repository{Name: name}, s.allowUpstream(ctx, p, remote, action)
	}
	repo, err := s.registry.Repository(ctx, name)
	if slipway.CodeOf(err) == slipway.CodeNotFound {
		repo, err = registry.Repository{Name: name}, nil
	}
	if err != nil {
		return repo, err
	}
	return s.allowOurs(ctx, p, repo, action)
}

// allowOurs is allow for a repository that was looked up already and is no upstream's.
func (s *Server) allowOurs(ctx context.Context, p identity.Principal, repo registry.Repository, action string) (registry.Repository, error) {
	if (action == pull || action == metadataRead) && repo.Public {
		return repo, nil
	}
	if p.Kind == slipway.ActorAnonymous || p.Kind == "" {
		return registry.Repository{}, slipway.Unauthenticated("sign in with a personal access token as the password")
	}
	if installation(repo.Name) {
		return repo, s.allowInstallation(ctx, p, action)
	}
	if repo.Project == "" {
		first, _, _ := strings.Cut(repo.Name, "/")
		project, err := s.identity.ProjectByName(ctx, first)
		if err != nil {
			return registry.Repository{}, err
		}
		if project.Key() != first { // it was found by its id
			return registry.Repository{}, slipway.NotFound("there is no project %q, or you are not a member of it", first)
		}
		repo.Project = project.ID
	}
	if id := p.Binding.PullRequest; id != 0 && action == push {
		first, _, _ := strings.Cut(repo.Name, "/")
		place := fmt.Sprintf("%s/forks/%d/", first, id)
		if !strings.HasPrefix(repo.Name, place) {
			return registry.Repository{}, slipway.Forbidden("this job runs a pull request from a fork: it pushes images below %s alone", strings.TrimSuffix(place, "/"))
		}
		action = pull // which it may everywhere in its project
	}
	if p.Kind == slipway.ActorJob && needed(action) == identity.Administer {
		return repo, slipway.Forbidden("a job's token pushes images, and neither deletes nor locks them: use the personal access token of an administrator of the project")
	}
	return repo, s.identity.Authorize(ctx, p, needed(action), repo.Project)
}

func (s *Server) allowInstallation(ctx context.Context, p identity.Principal, action string) error {
	if action == pull || action == metadataRead {
		switch p.Kind {
		case slipway.ActorUser, slipway.ActorJob, slipway.ActorNode, slipway.ActorSystem:
			return nil
		}
	}
	return s.identity.Authorize(ctx, p, needed(action), "")
}

func needed(action string) identity.Action {
	switch action {
	case pull, metadataRead:
		return identity.Read
	case push:
		return identity.Contribute
	}
	return identity.Administer
}

// allowed returns the repository of the request's path when the caller may do action there and it exists.
func (s *Server) allowed(q *request, action string) (registry.Repository, error) {
	return s.existing(q.Context(), q.who, q.name, action)
}

// readable is allowed for what is pulled, unless the repository is locked against that.
func (s *Server) readable(q *request) (registry.Repository, error) {
	repo, err := s.allowed(q, pull)
	if err == nil {
		err = repo.CheckPull()
	}
	return repo, err
}

// existing is allow for a repository that must be there.
func (s *Server) existing(ctx context.Context, p identity.Principal, name, action string) (registry.Repository, error) {
	repo, err := s.allow(ctx, p, name, action)
	if err == nil && repo.ID == 0 {
		return s.registry.Repository(ctx, name)
	}
	return repo, err
}

// pushed returns the repository, made when there is none, when the caller may push to it.
func (s *Server) pushed(q *request) (registry.Repository, error) {
	repo, err := s.allow(q.Context(), q.who, q.name, push)
	if err == nil && repo.ID == 0 {
		return s.registry.Ensure(q.Context(), q.name, repo.Project)
	}
	if err == nil {
		err = repo.CheckPush()
	}
	return repo, err
}

// challenge is the WWW-Authenticate header: where to get a token, and for what
// (distribution project, "Token Authentication Specification"), and whether the token of the request was too little (RFC 6750, section 3.1).
func challenge(r *http.Request, route route, err error) string {
	scopes := []string{}
	switch {
	case route.kind == routeCatalog:
		scopes = append(scopes, catalogScope)
	case route.name != "":
		scopes = append(scopes, "repository:"+route.name+":"+actionsFor(r.Method, route.kind))
		if from := r.URL.Query().Get("from"); from != "" && registry.CheckName(from) == nil {
			scopes = append(scopes, "repository:"+from+":"+pull)
		}
	}
	c := fmt.Sprintf(`Bearer realm="%s/v2/token",service="%s"`, baseURL(r), service)
	if len(scopes) > 0 {
		c += fmt.Sprintf(`,scope="%s"`, strings.Join(scopes, " "))
	}
	switch {
	case errors.Is(err, errScope):
		c += `,error="insufficient_scope"`
	case r.Header.Get("Authorization") != "":
		c += `,error="invalid_token"`
	}
	return c
}

// actionsFor is what a request needs, together with what the requests after it are likely to need.
func actionsFor(method string, kind routeKind) string {
	switch {
	case kind == routeUpload || kind == routeUploads:
		return pull + "," + push
	case method == http.MethodGet || method == http.MethodHead:
		return pull
	case method == http.MethodPatch: // of attributes: parts of uploads were dealt with
		return metadataRead + "," + metadataWrite
	case method == http.MethodDelete:
		return pull + "," + push + "," + remove
	}
	return pull + "," + push
}

// scoped reports whether the scopes of a token allow the action.
func scoped(scopes []string, name, action string) bool {
	return slices.ContainsFunc(scopes, func(s string) bool {
		sc, ok := parseScope(s)
		return ok && sc.resource == "repository" && sc.name == name &&
			(slices.Contains(sc.actions, action) || action == metadataRead && slices.Contains(sc.actions, pull))
	})
}

// scope is `repository:NAME:ACTION,ACTION` or `registry:catalog:*`.
type scope struct {
	resource, name string
	actions        []string
}

func parseScope(s string) (scope, bool) {
	resource, rest, ok := strings.Cut(s, ":")
	i := strings.LastIndexByte(rest, ':')
	if !ok || i < 0 {
		return scope{}, false
	}
	resource, _, _ = strings.Cut(resource, "(") // a class, as of repository(plugin), says nothing here
	return scope{resource, rest[:i], strings.Split(rest[i+1:], ",")}, true
}

func (s scope) String() string {
	return s.resource + ":" + s.name + ":" + strings.Join(s.actions, ",")
}
