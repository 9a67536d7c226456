package ociserver

import (
	"context"

	"slipway"
	"slipway/internal/registry"
)

// Gate judges the images that jobs push before a tag names them.
type Gate interface {
	// Guards says whether what jobs push to repositories of the project is judged.
	Guards(ctx context.Context, project slipway.ProjectID) (bool, error)
	// Admit says why no tag may name a manifest of the repository, nil when one may. It may wait for what it has to know.
	Admit(ctx context.Context, repo registry.Repository, d slipway.Digest) error
}

// WithGate lets the server ask g. It returns the server.
func (s *Server) WithGate(g Gate) *Server {
	s.gate = g
	return s
}

// judge stores what a job pushes without its tags, and asks about it. Whoever else pushes is not asked about, nor is what
// gets no tag: nothing finds it but by its digest.
func (s *Server) judge(q *request, repo registry.Repository, push registry.Push) error {
	if s.gate == nil || len(push.Tags) == 0 || q.who.Kind != slipway.ActorJob || repo.Project == "" {
		return nil
	}
	guarded, err := s.gate.Guards(q.Context(), repo.Project)
	if err != nil || !guarded {
		return err
	}
	push.Tags = nil
	m, err := s.registry.PutManifest(q.Context(), repo, push)
	if err != nil || m.Subject != "" { // what is said about an image is none
		return err
	}
	return s.gate.Admit(q.Context(), repo, m.Digest)
}
