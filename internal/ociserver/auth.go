package ociserver

import (
	"context"
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

// allow returns the project that a repository's name belongs to when p may do action there, else why not.
func (s *Server) allow(ctx context.Context, p identity.Principal, name, action string) (slipway.ProjectID, error) {
	if err := registry.CheckName(name); err != nil {
		return "", err
	}
	if p.Token == identity.TokenRegistry && !scoped(p.Binding.Scopes, name, action) {
		return "", slipway.Unauthenticated("this token does not allow %s of %s", action, name)
	}
	p = p.InRegistry()
	if remote, ok := s.find(name); ok {
		return "", s.allowUpstream(ctx, p, remote, action)
	}
	if action == pull {
		if repo, err := s.registry.Repository(ctx, name); err == nil && repo.Public {
			return repo.Project, nil
		}
	}
	if p.Kind == slipway.ActorAnonymous || p.Kind == "" {
		return "", slipway.Unauthenticated("sign in with a personal access token as the password")
	}
	if installation(name) {
		return "", s.allowInstallation(ctx, p, action)
	}
	first, _, _ := strings.Cut(name, "/")
	project, err := s.identity.ProjectByName(ctx, first)
	if err != nil {
		return "", err
	}
	if project.Key() != first { // it was found by its id
		return "", slipway.NotFound("there is no project %q, or you are not a member of it", first)
	}
	return project.ID, s.identity.Authorize(ctx, p, needed(action), project.ID)
}

func (s *Server) allowInstallation(ctx context.Context, p identity.Principal, action string) error {
	if action == pull {
		switch p.Kind {
		case slipway.ActorUser, slipway.ActorJob, slipway.ActorNode, slipway.ActorSystem:
			return nil
		}
	}
	return s.identity.Authorize(ctx, p, needed(action), "")
}

func needed(action string) identity.Action {
	switch action {
	case pull:
		return identity.Read
	case push:
		return identity.Contribute
	}
	return identity.Administer
}

// pulled returns the repository when the caller may pull from it.
func (s *Server) pulled(q *request) (registry.Repository, error) {
	if _, err := s.allow(q.Context(), q.who, q.name, pull); err != nil {
		return registry.Repository{}, err
	}
	return s.registry.Repository(q.Context(), q.name)
}

// pushed returns the repository, made when there is none, when the caller may push to it.
func (s *Server) pushed(q *request) (registry.Repository, error) {
	project, err := s.allow(q.Context(), q.who, q.name, push)
	if err != nil {
		return registry.Repository{}, err
	}
	return s.registry.Ensure(q.Context(), q.name, project)
}

// deleted returns the repository when the caller may delete from it.
func (s *Server) deleted(q *request) (registry.Repository, error) {
	if _, err := s.allow(q.Context(), q.who, q.name, remove); err != nil {
		return registry.Repository{}, err
	}
	return s.registry.Repository(q.Context(), q.name)
}

// challenge is the WWW-Authenticate header: where to get a token, and for what
// (distribution project, "Token Authentication Specification").
func challenge(r *http.Request, route route) string {
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
	if r.Header.Get("Authorization") != "" {
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
	case method == http.MethodDelete:
		return pull + "," + push + "," + remove
	}
	return pull + "," + push
}

// scoped reports whether the scopes of a token allow the action.
func scoped(scopes []string, name, action string) bool {
	return slices.ContainsFunc(scopes, func(s string) bool {
		sc, ok := parseScope(s)
		return ok && sc.resource == "repository" && sc.name == name && slices.Contains(sc.actions, action)
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
