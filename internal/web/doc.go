// Package web serves Slipway's pages: server-rendered HTML by templ, live by server-sent events, usable without
// JavaScript first. It is a door: a handler decodes, calls one domain method and renders, and knows no tables.
//
// How to add pages for a domain (boards as the example):
//
//   - boards.go holds `type boardsPages struct{ *Server; boards *boards.Service }` and
//     `func (s *Server) AddBoards(b *boards.Service)`, which registers the routes with s.Project or s.Installation:
//
//     s.Project("GET", "/_boards", identity.Read, p.board)
//
//     The handler is `func (p boardsPages) board(w http.ResponseWriter, r *http.Request, v View) error`: v has the
//     caller, the project (already authorized for the action) and the page's title; it ends with
//     `return s.Render(w, r, v.Titled("Board", "boards"), boardPage(view))`. A returned error becomes an error page.
//     A form posts to a route with method POST (checked against cross-origin use by the server) and ends with
//     `return s.Redirect(w, r, url)`.
//
//   - boards.templ holds the templates. They get plain structs made for the page, not domain objects, and are built
//     from the components of components.templ (Header, Table, Badge, Empty, Time, ...). `make generate` writes
//     boards_templ.go, which is committed.
//
//   - A live part is `<div hx-ext="sse" sse-connect={ url } sse-swap="update">`; its handler is s.Live(w, r, match, render).
//
//   - URLs are those that Azure DevOps uses where it has the page: /{project}/_git/{repo}, /_build, /_environments,
//     /_boards, /_workitems/edit/{id}; ours beside them are /_images, /_insights, /_trace.
package web
