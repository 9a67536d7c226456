// Package api serves the REST API: Azure DevOps' paths and shapes where Azure DevOps has the thing, and paths below
// _apis/slipway for what only Slipway has. It is a door: a handler decodes, asks whether the caller may, calls one
// domain method and encodes.
package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
)

// Server serves the API. Domains are added with the Add methods before the first request.
type Server struct {
	identity *identity.Service
	logger   *slog.Logger
	router   chi.Router
	served   map[string]*paths // by method
	url      string            // by which people reach the pages
}

// New makes the API without any domain.
func New(ident *identity.Service, logger *slog.Logger, externalURL string) *Server {
	s := &Server{identity: ident, logger: logger, router: chi.NewRouter(), served: map[string]*paths{}, url: externalURL}
	s.router.Use(s.anyCase)
	s.router.NotFound(httpx.JSON(logger, func(_ http.ResponseWriter, r *http.Request) error {
		return slipway.NotFound("Slipway does not serve %s %s", r.Method, r.URL.Path)
	}).ServeHTTP)
	s.router.MethodNotAllowed(httpx.JSON(logger, s.otherMethod).ServeHTTP)
	s.addLocations()
	return s
}

// otherMethod says by which methods a path is served that is asked for by another.
func (s *Server) otherMethod(w http.ResponseWriter, r *http.Request) error {
	var served []string
	for _, m := range methods {
		if _, ok := s.routedPath(m, r); ok {
			served = append(served, m)
		}
	}
	w.Header().Set("Allow", strings.Join(served, ", "))
	httpx.WriteJSON(w, http.StatusMethodNotAllowed, map[string]any{"code": slipway.CodeUnsupported,
		"message": fmt.Sprintf("Slipway serves %s by %s, not by %s", r.URL.Path, strings.Join(served, ", "), r.Method)})
	return nil
}

// Collection is what stands before the path in clients that insist on a collection of projects, such as tfx; there is none here.
const Collection = "/DefaultCollection"

// Handler is the API. Since a browser's session opens it too, it takes no writes that a page of another origin sends, as those of an
// application that is deployed on the same host would be.
func (s *Server) Handler() http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(httpx.JSON(s.logger, func(http.ResponseWriter, *http.Request) error {
		return slipway.Forbidden("a page of another site asked for this: it changes nothing here")
	}))
	return protection.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := len(Collection); len(r.URL.Path) > n && strings.EqualFold(r.URL.Path[:n], Collection) && strings.HasPrefix(strings.ToLower(r.URL.Path[n:]), "/_apis") {
			http.StripPrefix(r.URL.Path[:n], s.router).ServeHTTP(w, r)
			return
		}
		s.router.ServeHTTP(w, r)
	}))
}

// request is an authorized call.
type request struct {
	*http.Request
	caller  identity.Principal
	project identity.Project // zero outside of a project
}

type handler func(w http.ResponseWriter, r request) error

// project registers a route below /{project}/_apis.
func (s *Server) project(method, pattern string, a identity.Action, h handler) {
	s.route(method, "/{project}/_apis"+pattern, httpx.JSON(s.logger, func(w http.ResponseWriter, r *http.Request) error {
		caller, err := s.identity.Authenticate(r)
		if err != nil {
			return err
		}
		if caller.Kind == slipway.ActorAnonymous {
			return slipway.Unauthenticated("send a personal access token as the password of basic authentication")
		}
		p, err := s.identity.ProjectByName(r.Context(), chi.URLParam(r, "project"))
		if err != nil {
			return err
		}
		if err := s.identity.Authorize(r.Context(), caller, a, p.ID); err != nil {
			return err
		}
		if err := caller.AllowMethod(r.Method); err != nil {
			return err
		}
		return h(w, request{r, caller, p})
	}))
}

// installation registers a route below /_apis.
func (s *Server) installation(method, pattern string, a identity.Action, h handler) {
	s.route(method, "/_apis"+pattern, httpx.JSON(s.logger, func(w http.ResponseWriter, r *http.Request) error {
		caller, err := s.identity.Authenticate(r)
		if err != nil {
			return err
		}
		if err := s.identity.Authorize(r.Context(), caller, a, ""); err != nil {
			return err
		}
		if err := caller.AllowMethod(r.Method); err != nil {
			return err
		}
		return h(w, request{Request: r, caller: caller})
	}))
}

// anybody registers a route below /_apis for whoever signs in, jobs too: clients ask it before anything else.
func (s *Server) anybody(method, pattern string, h handler) {
	s.route(method, "/_apis"+pattern, httpx.JSON(s.logger, func(w http.ResponseWriter, r *http.Request) error {
		caller, err := s.identity.Authenticate(r)
		if err == nil && caller.Kind == slipway.ActorAnonymous {
			err = slipway.Unauthenticated("send a personal access token as the password of basic authentication")
		}
		if err != nil {
			return err
		}
		return h(w, request{Request: r, caller: caller})
	}))
}

// number reads a path's parameter.
func (r request) number(name string) (int64, error) {
	n, err := strconv.ParseInt(chi.URLParam(r.Request, name), 10, 64)
	if err != nil || n <= 0 {
		return 0, slipway.Invalid("%s %q is not a number", name, chi.URLParam(r.Request, name))
	}
	return n, nil
}

// named is a parameter of the path that may be any text; the router leaves it escaped when the path holds unusual characters.
func (r request) named(name string) string {
	text := chi.URLParam(r.Request, name)
	if r.URL.RawPath == "" {
		return text
	}
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}

// decode reads a JSON body that may have fields of which nothing depends here: clients send back what they were given. shape says what the
// body should be.
func (r request) decode(w http.ResponseWriter, limit int64, into any, shape string) error {
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, limit)).Decode(into)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return slipway.Limit("the request's body has more than %d bytes", limit)
	case err != nil:
		return slipway.Invalid("the request's body is not %s: %v", shape, err)
	}
	return nil
}

// list is Azure DevOps' envelope of lists.
func list[T any](w http.ResponseWriter, values []T) error {
	if values == nil {
		values = []T{}
	}
	httpx.WriteJSON(w, http.StatusOK, map[string]any{"count": len(values), "value": values})
	return nil
}

// when is a time as Azure DevOps writes it, left out when zero.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
