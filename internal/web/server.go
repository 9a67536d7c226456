package web

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/a-h/templ"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"slipway"
	"slipway/internal/environments"
	"slipway/internal/events"
	"slipway/internal/httpx"
	"slipway/internal/identity"
)

//go:embed static
var static embed.FS

// Server serves the pages. Domains are added with the Add methods before the first request.
type Server struct {
	identity *identity.Service
	events   *events.Log
	logger   *slog.Logger
	router   chi.Router
	url      string // by which browsers reach the server, without a slash at its end
	secure   bool   // the server is reached by https

	// reviewApps lists those of a pull request; nil without environments.
	reviewApps func(ctx context.Context, pull slipway.PullRequestID, of slipway.EnvironmentID) ([]environments.Environment, error)
}

// New makes the server with the pages that belong to no domain: sign-in, projects, the profile. externalURL is the
// address by which browsers reach it.
func New(ident *identity.Service, log *events.Log, logger *slog.Logger, externalURL string) *Server {
	s := &Server{identity: ident, events: log, logger: logger, router: chi.NewRouter(), url: strings.TrimRight(externalURL, "/"), secure: strings.HasPrefix(externalURL, "https://")}
	s.router.NotFound(func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, s.anonymousView(r), slipway.NotFound("there is no page %s", r.URL.Path))
	})
	s.router.Handle("/static/*", cached(http.FileServerFS(static)))
	s.addIdentity()
	return s
}

// Handler is the pages behind the check against cross-origin posts.
func (s *Server) Handler() http.Handler {
	return http.NewCrossOriginProtection().Handler(securityHeaders(compressed(s.router)))
}

// compressed makes pages and static files smaller, and leaves live parts alone, which are sent in small pieces, and connections that become
// something else, as that of a terminal.
func compressed(next http.Handler) http.Handler {
	smaller := middleware.Compress(5, "text/html", "text/css", "text/javascript", "image/svg+xml")(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			next.ServeHTTP(w, r)
			return
		}
		smaller.ServeHTTP(w, r)
	})
}

func securityHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; form-action 'self'; base-uri 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

// cached lets browsers keep static files for ever: their URLs carry the hash of the content.
func cached(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "" {
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		next.ServeHTTP(w, r)
	})
}

// assets has the URLs of static files by their names.
var assets sync.Map

// asset is the URL of a static file with the hash of its content.
func asset(name string) string {
	if known, ok := assets.Load(name); ok {
		return known.(string)
	}
	b, err := static.ReadFile("static/" + name)
	if err != nil {
		return "/static/" + name
	}
	h := fnv.New64a()
	_, _ = h.Write(b)
	url := fmt.Sprintf("/static/%s?%x", name, h.Sum64())
	assets.Store(name, url)
	return url
}

// View is what every page knows.
type View struct {
	Title   string
	Section string // of the project's navigation: repos, pipelines, images, environments, insights, boards, trace, settings
	Caller  identity.Principal
	Project *identity.Project // nil outside of a project
	Path    string
}

// Titled is the view with the page's title and section.
func (v View) Titled(title, section string) View {
	v.Title, v.Section = title, section
	return v
}

// SignedIn reports whether somebody is signed in.
func (v View) SignedIn() bool { return v.Caller.Kind == slipway.ActorUser }

// URL is a path below the project: `v.URL("_boards")`. Each element is escaped.
func (v View) URL(elements ...any) string {
	var b strings.Builder
	if v.Project != nil {
		b.WriteString("/" + url.PathEscape(v.Project.Name))
	}
	for _, e := range elements {
		b.WriteString("/" + url.PathEscape(fmt.Sprint(e)))
	}
	return b.String()
}

// Handler serves one page or form.
type Handler func(w http.ResponseWriter, r *http.Request, v View) error

// Project registers a page below /{project}; callers who may not do the action there never reach it.
func (s *Server) Project(method, pattern string, a identity.Action, h Handler) {
	s.router.MethodFunc(method, "/{project}"+pattern, s.handle(func(w http.ResponseWriter, r *http.Request, v View) error {
		if v.Caller.Kind == slipway.ActorAnonymous {
			return slipway.Unauthenticated("sign in to see this page")
		}
		p, err := s.identity.ProjectByName(r.Context(), chi.URLParam(r, "project"))
		if err != nil {
			return err
		}
		if err := s.identity.Authorize(r.Context(), v.Caller, a, p.ID); err != nil {
			return err
		}
		v.Project = &p
		return h(w, r, v)
	}))
}

// Installation registers a page outside of any project.
func (s *Server) Installation(method, pattern string, a identity.Action, h Handler) {
	s.router.MethodFunc(method, pattern, s.handle(func(w http.ResponseWriter, r *http.Request, v View) error {
		if err := s.identity.Authorize(r.Context(), v.Caller, a, ""); err != nil {
			return err
		}
		return h(w, r, v)
	}))
}

// Public registers a page that needs nobody to be signed in.
func (s *Server) Public(method, pattern string, h Handler) {
	s.router.MethodFunc(method, pattern, s.handle(h))
}

func (s *Server) handle(h Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v := s.anonymousView(r)
		caller, err := s.identity.Authenticate(r)
		if err == nil {
			v.Caller = caller
			if caller.MustChange && !servesUnchanged(r.URL.Path) {
				_ = s.Redirect(w, r, "/profile")
				return
			}
			if err = caller.AllowMethod(r.Method); err == nil {
				err = h(w, r, v)
			}
		}
		if err != nil {
			s.fail(w, r, v, err)
		}
	}
}

// servesUnchanged names the pages for somebody who has not chosen a password of their own yet.
func servesUnchanged(path string) bool {
	return path == "/profile" || path == "/profile/password" || path == "/signout"
}

func (s *Server) anonymousView(r *http.Request) View {
	return View{Caller: identity.Anonymous, Path: r.URL.RequestURI()}
}

// fail renders the error page, or sends somebody who is not signed in to the sign-in page.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, v View, err error) {
	httpx.LogError(s.logger, r, err)
	p := httpx.Problem(r, err)
	if p.Code == slipway.CodeUnauthenticated && r.Method == http.MethodGet && r.Header.Get("Authorization") == "" {
		http.Redirect(w, r, "/signin?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
		return
	}
	shown := *p
	shown.Message = abridged(shown.Message)
	s.write(w, r, httpx.Status(p.Code), v.Titled(errorTitle(p.Code), ""), problemPage(shown, backFrom(r)))
}

// abridged keeps a sentence readable that repeats something long which was sent: the middle goes, since what to do stands at the end.
func abridged(message string) string {
	const kept = 300 // characters at either end
	r := []rune(message)
	if len(r) <= 2*kept+1 {
		return message
	}
	return string(r[:kept]) + "…" + string(r[len(r)-kept:])
}

// backFrom is the page that sent a form which was refused, "" when that is not known.
func backFrom(r *http.Request) string {
	from, err := url.Parse(r.Referer())
	if err != nil || r.Method != http.MethodPost || from.Host != r.Host || !strings.HasPrefix(from.Path, "/") {
		return ""
	}
	return (&url.URL{Path: from.Path, RawQuery: from.RawQuery}).String()
}

func errorTitle(code slipway.Code) string {
	switch code {
	case slipway.CodeNotFound:
		return "Not found"
	case slipway.CodeForbidden:
		return "Not allowed"
	case slipway.CodeConflict:
		return "Conflict"
	case slipway.CodeInvalid, slipway.CodeUnsupported, slipway.CodeLimit:
		return "That did not work"
	case slipway.CodeUnavailable:
		return "Not available now"
	case slipway.CodeFull:
		return "No room left"
	}
	return "Something went wrong"
}

// Render answers with the page.
func (s *Server) Render(w http.ResponseWriter, r *http.Request, v View, body templ.Component) error {
	s.write(w, r, http.StatusOK, v, body)
	return nil
}

// Fragment answers with a part of a page, for htmx.
func (s *Server) Fragment(w http.ResponseWriter, r *http.Request, c templ.Component) error {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	return c.Render(r.Context(), w)
}

func (s *Server) write(w http.ResponseWriter, r *http.Request, status int, v View, body templ.Component) {
	var b bytes.Buffer // rendered first, so that a fault in a template cannot leave half a page
	if err := page(v, body).Render(r.Context(), &b); err != nil {
		s.logger.Error("render page", "path", r.URL.Path, "error", err)
		http.Error(w, "this page could not be shown", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = b.WriteTo(w)
}

// Redirect sends the browser to a path of this server after a form.
func (s *Server) Redirect(w http.ResponseWriter, r *http.Request, path string) error {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.HasPrefix(path, "/\\") {
		path = "/"
	}
	http.Redirect(w, r, path, http.StatusSeeOther)
	return nil
}

// Live serves a live part of a page by server-sent events: it sends what render makes at once, again after each
// event that matches (at most five times a second), and a comment every 20 seconds to keep the connection.
func (s *Server) Live(w http.ResponseWriter, r *http.Request, match func(events.Event) bool, render func() (templ.Component, error)) error {
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Time{})
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	changes, stop := s.events.Watch(match)
	defer stop()
	alive := time.NewTicker(20 * time.Second)
	defer alive.Stop()
	for {
		c, err := render()
		if err != nil {
			return nil // the page is gone; the browser keeps what it has
		}
		if err := sendEvent(r, w, c); err != nil || control.Flush() != nil {
			return nil
		}
		for waiting := true; waiting; {
			select {
			case <-r.Context().Done():
				return nil
			case <-alive.C:
				if _, err := w.Write([]byte(": alive\n\n")); err != nil || control.Flush() != nil {
					return nil
				}
			case <-changes:
				waiting = false
			}
		}
		if !pause(r, 200*time.Millisecond) {
			return nil
		}
		for len(changes) > 0 { // those that came meanwhile are in the next rendering
			<-changes
		}
	}
}

func pause(r *http.Request, d time.Duration) bool {
	select {
	case <-r.Context().Done():
		return false
	case <-time.After(d):
		return true
	}
}

func sendEvent(r *http.Request, w http.ResponseWriter, c templ.Component) error {
	var b bytes.Buffer
	if err := c.Render(r.Context(), &b); err != nil {
		return err
	}
	var out bytes.Buffer
	out.WriteString("event: update\n")
	for line := range strings.SplitSeq(b.String(), "\n") {
		out.WriteString("data: " + strings.TrimRight(line, "\r") + "\n")
	}
	out.WriteString("\n")
	_, err := out.WriteTo(w)
	return err
}
