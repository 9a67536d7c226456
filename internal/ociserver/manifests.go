package ociserver

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"time"

	"slipway"
	"slipway/internal/registry"
)

func (s *Server) getManifest(w http.ResponseWriter, q *request) error {
	repo, err := s.readable(q)
	if err != nil {
		return err
	}
	c, err := s.registry.GetContent(q.Context(), repo, q.reference)
	if err == nil {
		err = c.CheckPull(repo, q.reference)
	}
	if err != nil {
		return err
	}
	if q.Method == http.MethodGet {
		s.registry.Pulled(repo, q.reference, c.Digest)
	} else if err := s.registry.KeepContent(q.Context(), repo, c); err != nil { // who looks may push what names it
		return err
	}
	contentHeaders(w, c.MediaType, string(c.Digest))
	if string(c.Digest) != q.reference {
		w.Header().Set("Cache-Control", "private, no-cache") // a tag moves
	}
	http.ServeContent(w, q.Request, "", time.Time{}, bytes.NewReader(c.Bytes))
	return nil
}

// putManifest stores the body under its digest, and points the tag of the path, or those of `tag` parameters, to it.
func (s *Server) putManifest(w http.ResponseWriter, q *request) error {
	repo, err := s.pushed(q)
	if err != nil {
		return err
	}
	push := registry.Push{MediaType: q.Header.Get("Content-Type"), Tags: q.URL.Query()["tag"], By: q.who}
	if registry.IsTag(q.reference) {
		push.Tags = append(push.Tags, q.reference)
	} else if push.Digest, err = digest(q.reference); err != nil {
		return err
	}
	if push.Content, err = readManifest(w, q.Request); err != nil {
		return err
	}
	if err := s.judge(q, repo, push); err != nil {
		return err
	}
	m, err := s.registry.PutManifest(q.Context(), repo, push)
	if err != nil {
		return err
	}
	if m.Subject != "" {
		w.Header().Set("OCI-Subject", string(m.Subject))
	}
	for _, tag := range q.URL.Query()["tag"] {
		w.Header().Add("OCI-Tag", tag)
	}
	created(w, "/v2/"+q.name+"/manifests/"+string(m.Digest), m.Digest)
	return nil
}

func readManifest(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	content, err := io.ReadAll(http.MaxBytesReader(w, r.Body, registry.MaxManifest))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, &registry.Error{Fault: registry.SizeInvalid, Problem: slipway.Limit("the manifest has more than %d bytes", registry.MaxManifest)}
	}
	if err != nil {
		return nil, slipway.Invalid("the request broke off").Because(err)
	}
	return content, nil
}

// deleteManifest removes a manifest by digest with its tags, or a tag alone.
func (s *Server) deleteManifest(w http.ResponseWriter, q *request) error {
	repo, err := s.allowed(q, remove)
	if err != nil {
		return err
	}
	if registry.IsTag(q.reference) {
		err = s.registry.DeleteTag(q.Context(), repo, q.reference, q.who.Actor)
	} else {
		var d slipway.Digest
		if d, err = digest(q.reference); err == nil {
			err = s.registry.DeleteManifest(q.Context(), repo, d, q.who.Actor)
		}
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}
