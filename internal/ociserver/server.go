// Package ociserver is the registry's door: the OCI distribution API, version 1.1, below /v2/, the token endpoint
// that docker, containerd, BuildKit and the others sign in with, and what tools for Azure's registry ask below /acr/v1/ and /oauth2/. It decodes requests, asks identity who calls and
// whether they may, calls one method of registry, and writes the answer. It keeps nothing but
// the addresses from which wrong passwords came of late.
//
// An image's name begins with its project: `PROJECT/NAME...`, in lower case. `library/...` and `slipway/...` belong
// to the installation: everybody signed in may pull them, its administrators push them.
package ociserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/registry"
)

// Server serves /v2/, /acr/v1/, /oauth2/token, /oauth2/exchange, /v1/search and /v1/_ping. Mount it there; it needs no other path.
type Server struct {
	registry *registry.Service
	identity *identity.Service
	logger   *slog.Logger
	cache    *registry.Cache // nil: no other registry is read through this one
	hosts    []string        // what image names call this registry
	gate     Gate            // nil: nothing is judged
	attempts attempts
}

// New returns the door to r.
func New(r *registry.Service, ids *identity.Service, logger *slog.Logger) *Server {
	return &Server{registry: r, identity: ids, logger: logger}
}

// request is one request with its path taken apart and its caller known.
type request struct {
	*http.Request
	route
	asked string // the name in the path, when it is another registry's and route has that of its copy here; else empty
	who   identity.Principal
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0") // old docker looks for it
	route, asked, err := s.mirrored(r, split(r.URL.Path))
	if err == nil {
		err = s.serve(w, r, route, asked)
	}
	if err != nil {
		s.fail(w, r, route, err)
	}
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request, route route, asked string) error {
	if route.kind == routeToken {
		return s.token(w, r)
	}
	if route.kind == routeExchange {
		return s.exchange(w, r)
	}
	who, err := s.authenticate(r)
	if err != nil {
		return err
	}
	q := &request{Request: r, route: route, asked: asked, who: who}
	methods := handlers[route.kind]
	if methods == nil {
		return slipway.NotFound("there is nothing at this path of the registry")
	}
	handler := methods[r.Method]
	if handler == nil {
		return errMethod
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		q.renamed()
	}
	if remote, ok := s.remote(q); ok {
		return s.fromUpstream(w, q, remote, handler)
	}
	return handler(s, w, q)
}

type handler func(s *Server, w http.ResponseWriter, q *request) error

// handlers is the whole API: what each path answers to each method.
var handlers = map[routeKind]map[string]handler{
	routePing:      {"GET": (*Server).ping, "HEAD": (*Server).ping},
	routeCatalog:   {"GET": (*Server).catalog},
	routeTags:      {"GET": (*Server).tags},
	routeReferrers: {"GET": (*Server).referrers},
	routeManifest: {"GET": (*Server).getManifest, "HEAD": (*Server).getManifest,
		"PUT": (*Server).putManifest, "DELETE": (*Server).deleteManifest},
	routeBlob:    {"GET": (*Server).getBlob, "HEAD": (*Server).headBlob, "DELETE": (*Server).deleteBlob},
	routeUploads: {"POST": (*Server).startUpload},
	routeUpload: {"GET": (*Server).uploadStatus, "PATCH": (*Server).appendUpload,
		"PUT": (*Server).finishUpload, "DELETE": (*Server).cancelUpload},
	routeSearch:        {"GET": (*Server).search},
	routeSearchPing:    {"GET": (*Server).pingSearch},
	routeACRRepository: {"GET": (*Server).acrRepository, "DELETE": (*Server).acrDelete, "PATCH": (*Server).acrUpdate},
	routeACRTags:       {"GET": (*Server).acrTags},
	routeACRTag:        {"GET": (*Server).acrTag, "DELETE": (*Server).deleteManifest, "PATCH": (*Server).acrUpdate},
	routeACRManifests:  {"GET": (*Server).acrManifests},
	routeACRManifest:   {"GET": (*Server).acrManifest, "PATCH": (*Server).acrUpdate},
}

var errMethod = errors.New("method not allowed")

// ping tells clients that this is a registry, and how to sign in.
func (s *Server) ping(w http.ResponseWriter, q *request) error {
	if q.who.Kind == slipway.ActorAnonymous && !isAnonymousToken(q.Request) {
		return slipway.Unauthenticated("sign in with a personal access token as the password")
	}
	w.Header().Set("Content-Type", "application/json")
	_, err := w.Write([]byte("{}"))
	return err
}

// fail writes err as the specification has it ("Error Codes").
func (s *Server) fail(w http.ResponseWriter, r *http.Request, route route, err error) {
	var outOfOrder *registry.RangeError
	switch {
	case errors.Is(err, errMethod):
		methods := slices.Sorted(maps.Keys(handlers[route.kind]))
		if route.kind == routeToken {
			methods = []string{"GET", "POST"}
		}
		if route.kind == routeExchange {
			methods = []string{"POST"}
		}
		w.Header().Set("Allow", strings.Join(methods, ", "))
		writeError(w, http.StatusMethodNotAllowed, registry.Unsupported, "the registry does not answer "+r.Method+" here")
		return
	case errors.As(err, &outOfOrder):
		uploadHeaders(w, route.name, outOfOrder.Upload)
		writeError(w, http.StatusRequestedRangeNotSatisfiable, registry.BlobUploadInvalid, outOfOrder.Error())
		return
	}
	httpx.LogError(s.logger, r, err)
	p := httpx.Problem(r, err)
	fault := faultOf(p.Code)
	var known *registry.Error
	if errors.As(err, &known) {
		fault = known.Fault
	}
	status := httpx.Status(p.Code)
	switch {
	case p.Code == slipway.CodeUnauthenticated:
		w.Header().Set("WWW-Authenticate", challenge(r, route, err))
	case fault == registry.TooManyRequests:
		status = http.StatusTooManyRequests
		w.Header().Set("Retry-After", "60") // unless an upstream said how long
		s.retryAfter(w, err)
	}
	writeError(w, status, fault, p.Message)
}

// faultOf is the specification's code for a problem that has none of its own.
func faultOf(c slipway.Code) registry.Fault {
	switch c {
	case slipway.CodeUnauthenticated:
		return registry.Unauthorized
	case slipway.CodeForbidden:
		return registry.Denied
	case slipway.CodeNotFound:
		return registry.NameUnknown
	case slipway.CodeLimit:
		return registry.SizeInvalid
	case slipway.CodeInvalid, slipway.CodeUnsupported, slipway.CodeConflict:
		return registry.Unsupported
	}
	return "UNKNOWN"
}

func writeError(w http.ResponseWriter, status int, fault registry.Fault, message string) {
	type problem struct {
		Code    registry.Fault `json:"code"`
		Message string         `json:"message"`
	}
	writeJSON(w, status, "application/json", map[string][]problem{"errors": {{fault, message}}})
}

func writeJSON(w http.ResponseWriter, status int, mediaType string, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "encode answer", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Length", fmt.Sprint(len(b)))
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

// digest reads a digest from the request.
func digest(s string) (slipway.Digest, error) {
	d, err := slipway.ParseDigest(s)
	var p *slipway.Problem
	if errors.As(err, &p) {
		return "", &registry.Error{Fault: registry.DigestInvalid, Problem: p}
	}
	return d, err
}

// noContent tells whether the request has no body.
func noContent(r *http.Request) bool {
	return r.ContentLength == 0 || r.Body == nil || r.Body == http.NoBody
}

// baseURL is the server's address as the client wrote it.
func baseURL(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https") {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}
