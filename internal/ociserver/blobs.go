package ociserver

import (
	"fmt"
	"net/http"
	"time"
)

// contentHeaders says what the content is. It never changes under its digest, so the digest is its entity tag too.
func contentHeaders(w http.ResponseWriter, mediaType, digest string) {
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("Docker-Content-Digest", digest)
	h.Set("ETag", `"`+digest+`"`)
	h.Set("Cache-Control", "private, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
}

func (s *Server) headBlob(w http.ResponseWriter, q *request) error {
	repo, err := s.readable(q)
	if err != nil {
		return err
	}
	d, err := digest(q.reference)
	if err != nil {
		return err
	}
	size, err := s.registry.StatBlob(q.Context(), repo, d)
	if err != nil {
		return err
	}
	contentHeaders(w, "application/octet-stream", string(d))
	w.Header().Set("Content-Length", fmt.Sprint(size))
	w.Header().Set("Accept-Ranges", "bytes")
	w.WriteHeader(http.StatusOK)
	return nil
}

func (s *Server) getBlob(w http.ResponseWriter, q *request) error {
	repo, err := s.readable(q)
	if err != nil {
		return err
	}
	d, err := digest(q.reference)
	if err != nil {
		return err
	}
	o, err := s.registry.OpenBlob(q.Context(), repo, d)
	if err != nil {
		return err
	}
	defer o.Close()
	contentHeaders(w, "application/octet-stream", string(d))
	http.ServeContent(w, q.Request, "", time.Time{}, o)
	return nil
}

func (s *Server) deleteBlob(w http.ResponseWriter, q *request) error {
	repo, err := s.allowed(q, remove)
	if err != nil {
		return err
	}
	d, err := digest(q.reference)
	if err != nil {
		return err
	}
	if err := s.registry.DeleteBlob(q.Context(), repo, d); err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}
