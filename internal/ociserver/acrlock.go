package ociserver

import (
	"encoding/json"
	"net/http"

	"slipway"
	"slipway/internal/registry"
)

// maxAttributes bounds the body of a change of attributes, in bytes.
const maxAttributes = 16 << 10

// acrUpdate locks what the path names, a repository, a tag or a manifest, or unlocks it. Attributes that the body leaves out stay.
func (s *Server) acrUpdate(w http.ResponseWriter, q *request) error {
	repo, err := s.allowed(q, metadataWrite)
	if err != nil {
		return err
	}
	if q.kind == routeACRManifest {
		if _, err := digest(q.reference); err != nil {
			return err
		}
	}
	before, err := s.acrLock(q, repo)
	if err != nil {
		return err
	}
	var change struct {
		Delete *bool `json:"deleteEnabled"`
		Write  *bool `json:"writeEnabled"`
		List   *bool `json:"listEnabled"`
		Read   *bool `json:"readEnabled"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, q.Body, maxAttributes)).Decode(&change); err != nil {
		return slipway.Invalid("the attributes are not the JSON expected: %v", err)
	}
	if change.List != nil && !*change.List {
		return slipway.Unsupported("listEnabled is always true here: write readEnabled false to forbid pulling")
	}
	lock := before
	for _, one := range []struct {
		enabled *bool
		what    registry.Lock
	}{{change.Delete, registry.LockDelete}, {change.Write, registry.LockWrite}, {change.Read, registry.LockRead}} {
		switch {
		case one.enabled == nil:
		case *one.enabled:
			lock &^= one.what
		default:
			lock |= one.what
		}
	}
	if err := s.registry.SetLock(q.Context(), repo, q.reference, lock, q.who.Actor); err != nil {
		return err
	}
	return s.acrChanged(w, q, repo, lock)
}

// acrLock is the lock of what the path names.
func (s *Server) acrLock(q *request, repo registry.Repository) (registry.Lock, error) {
	switch q.kind {
	case routeACRTag:
		t, err := s.registry.Tag(q.Context(), repo, q.reference)
		return t.Lock, err
	case routeACRManifest:
		m, err := s.registry.GetManifest(q.Context(), repo, q.reference)
		return m.Lock, err
	}
	return repo.Lock, nil
}

// acrChanged answers with what was changed.
func (s *Server) acrChanged(w http.ResponseWriter, q *request, repo registry.Repository, lock registry.Lock) error {
	switch q.kind {
	case routeACRTag:
		return s.acrTag(w, q)
	case routeACRManifest:
		return s.acrManifest(w, q)
	}
	repo.Lock = lock
	return s.acrAbout(w, q, repo)
}
