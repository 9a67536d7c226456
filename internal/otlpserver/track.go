package otlpserver

import "net/http"

func (s *Server) track(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }
