package api

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"
)

// paths are the paths that one method serves, as a tree of their parts. Azure DevOps does not regard the case of fixed parts, and its clients write many
// in two ways (pullrequests, pullRequests); what stands in the place of `{name}` is taken as it is.
type paths struct {
	fixed map[string]*paths // what follows a fixed part, by the part in lower case
	given *paths            // what follows a part that the caller gives
	end   bool              // a path ends here
	rest  bool              // anything may follow
}

// routed gives a pattern of the router's fixed parts in lower case, as it is routed.
func routed(pattern string) string {
	parts := strings.Split(pattern, "/")
	for i, p := range parts {
		if !isGiven(p) {
			parts[i] = strings.ToLower(p)
		}
	}
	return strings.Join(parts, "/")
}

func isGiven(part string) bool { return strings.Contains(part, "{") }

// add takes the parts of a pattern of the router's.
func (p *paths) add(parts []string) {
	if len(parts) == 0 {
		p.end = true
		return
	}
	part := parts[0]
	switch {
	case part == "*":
		p.rest = true
	case isGiven(part):
		if p.given == nil {
			p.given = &paths{}
		}
		p.given.add(parts[1:])
	default:
		part = strings.ToLower(part)
		if p.fixed == nil {
			p.fixed = map[string]*paths{}
		}
		if p.fixed[part] == nil {
			p.fixed[part] = &paths{}
		}
		p.fixed[part].add(parts[1:])
	}
}

// lower writes the fixed parts of a path that is served in lower case, and says whether it is. A fixed part goes before a given one.
func (p *paths) lower(parts []string) bool {
	if len(parts) == 0 {
		return p.end
	}
	part := strings.ToLower(parts[0])
	if next := p.fixed[part]; next != nil && next.lower(parts[1:]) {
		parts[0] = part
		return true
	}
	return p.given != nil && p.given.lower(parts[1:]) || p.rest
}

// methods are those by which anything is served.
var methods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}

// route registers a route for everybody.
func (s *Server) route(method, pattern string, h http.Handler) {
	if s.served[method] == nil {
		s.served[method] = &paths{}
	}
	s.served[method].add(strings.Split(pattern, "/"))
	s.router.Method(method, routed(pattern), h)
}

// routedPath is the path of a request as it is routed by method, and whether it is served by it.
func (s *Server) routedPath(method string, r *http.Request) (path string, served bool) {
	parts := strings.Split(cmp.Or(r.URL.RawPath, r.URL.Path), "/")
	served = s.served[method] != nil && s.served[method].lower(parts)
	return strings.Join(parts, "/"), served
}

// anyCase has the router find paths whatever the case of their fixed parts. Those that another method serves are found too, so that it is named.
func (s *Server) anyCase(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, m := range slices.Concat([]string{r.Method}, methods) {
			if path, served := s.routedPath(m, r); served {
				chi.RouteContext(r.Context()).RoutePath = path
				break
			}
		}
		next.ServeHTTP(w, r)
	})
}
