package registry

import (
	"context"
	"encoding/json"
	"errors"

	"slipway"
	"slipway/internal/registry/upstream"
)

// TagList is a part of an upstream's tags.
type TagList struct {
	Names   []string
	More    bool
	Warning string // when they are those that are here alone
}

// Tags lists up to n tags after last as the upstream has them; those that are here when it cannot be asked.
func (c *Cache) Tags(ctx context.Context, r Remote, last string, n int) (TagList, error) {
	if n == 0 {
		return TagList{Names: []string{}}, nil
	}
	names, more, err := r.client.Tags(ctx, r.Repository, n, last)
	if err == nil {
		return TagList{Names: emptyNotNull(names), More: more}, nil
	}
	c.noteError(r, err)
	repo, found, err2 := c.local(ctx, r)
	if err2 != nil {
		return TagList{}, err2
	}
	var e *upstream.Error
	if !found || !errors.As(err, &e) || e.Kind == upstream.Missing {
		return TagList{}, c.problem(r, NameUnknown, err)
	}
	names, err = c.registry.TagNames(ctx, repo, last, n+1)
	if err != nil {
		return TagList{}, err
	}
	return TagList{Names: names[:min(n, len(names))], More: len(names) > n, Warning: r.Upstream.Name + " could not be asked, and these are the tags that are here"}, nil
}

// ReferrersIndex is what is about a digest.
type ReferrersIndex struct {
	Index    []byte // an OCI index
	Filtered bool
	Warning  string // when they are those that are here alone
}

// Referrers lists what is about a digest as the upstream has it; what is here when it cannot be asked.
func (c *Cache) Referrers(ctx context.Context, r Remote, d slipway.Digest, artifactType string) (ReferrersIndex, error) {
	content, filtered, err := r.client.Referrers(ctx, r.Repository, d, artifactType)
	if err == nil {
		return ReferrersIndex{Index: content, Filtered: filtered}, nil
	}
	repo, found, err2 := c.local(ctx, r)
	if err2 != nil {
		return ReferrersIndex{}, err2
	}
	var e *upstream.Error
	if errors.As(err, &e) && e.Kind == upstream.Missing {
		return c.taggedReferrers(ctx, r, d)
	}
	if !found || e == nil {
		return ReferrersIndex{}, c.problem(r, NameUnknown, err)
	}
	c.noteError(r, err)
	list, err := c.registry.Referrers(ctx, repo, d, artifactType)
	if err != nil {
		return ReferrersIndex{}, err
	}
	content, err = referrersIndex(list)
	return ReferrersIndex{Index: content, Filtered: artifactType != "", Warning: r.Upstream.Name + " could not be asked, and this is what is here"}, err
}

// taggedReferrers reads the tag in which clients list referrers where a registry does not (distribution specification,
// "Referrers Tag Schema").
func (c *Cache) taggedReferrers(ctx context.Context, r Remote, d slipway.Digest) (ReferrersIndex, error) {
	m, err := c.Manifest(ctx, r, d.Algorithm()+"-"+d.Hex()[:min(len(d.Hex()), 64)])
	if err == nil && isIndex(m.MediaType) {
		return ReferrersIndex{Index: m.Bytes, Warning: m.Warning}, nil
	}
	if err != nil && !isMissing(err) {
		return ReferrersIndex{}, err
	}
	content, err := referrersIndex([]Descriptor{})
	return ReferrersIndex{Index: content}, err
}

func referrersIndex(list []Descriptor) ([]byte, error) {
	return json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": TypeOCIIndex, "manifests": list})
}
