package registry

import (
	"context"
	"fmt"

	"slipway"
	"slipway/internal/db"
)

// Order is that of a list.
type Order int

// The orders.
const (
	ByName      Order = iota // of tags, or digests of manifests
	NewestFirst              // by when a tag was moved, or a manifest pushed, last
	OldestFirst
)

// Page is the part of a list that is asked for.
type Page struct {
	Order  Order
	Last   string         // the name or digest after which the page begins; empty for the first page
	Limit  int            // at most 1000, which is also the default
	Digest slipway.Digest // only tags of this manifest
}

// after is the condition for rows x of the table, which have a name and a time, to be in the page, and their order. The first two parameters of the query are the
// repository and Page.Last.
func (p Page) after(table, name, time, collate string) (condition, order string) {
	last := func(sign string) string {
		return `(SELECT ` + sign + time + `, ` + name + collate + ` FROM ` + table + ` WHERE repository_id = $1 AND ` + name + ` = $2)`
	}
	byName, byTime := `x.`+name+collate, `x.`+time
	switch p.Order {
	case NewestFirst:
		return `($2 = '' OR (-` + byTime + `, ` + byName + `) > ` + last(`-`) + `)`, byTime + ` DESC, ` + byName
	case OldestFirst:
		return `($2 = '' OR (` + byTime + `, ` + byName + `) > ` + last(``) + `)`, byTime + `, ` + byName
	}
	return byName + ` > $2`, byName
}

// TagPage lists a part of the repository's tags, and says whether there are more.
func (s *Service) TagPage(ctx context.Context, repo Repository, p Page) (list []Tag, more bool, err error) {
	limit := clamp(p.Limit)
	condition, order := p.after("registry_tags", "name", "updated", s.bytes)
	query := `
		SELECT x.name, x.digest, x.updated, x.locks FROM registry_tags AS x
		WHERE x.repository_id = $1 AND ` + condition + ` AND ($3 = '' OR x.digest = $3) ORDER BY ` + order + ` LIMIT $4`
	if list, err = db.List(ctx, s.db, scanTag, query, repo.ID, p.Last, string(p.Digest), limit+1); err != nil {
		return nil, false, fmt.Errorf("list tags of %s: %w", repo.Name, err)
	}
	return list[:min(len(list), limit)], len(list) > limit, nil
}

// ManifestPage lists a part of the repository's manifests, without their content, and says whether there are more.
func (s *Service) ManifestPage(ctx context.Context, repo Repository, p Page) (list []Manifest, more bool, err error) {
	limit := clamp(p.Limit)
	condition, order := p.after("registry_manifests", "digest", "pushed", s.bytes)
	query := `SELECT x.repository_id, x.digest, x.pushed FROM registry_manifests AS x WHERE x.repository_id = $1 AND ` + condition + ` ORDER BY ` + order + ` LIMIT $3`
	if list, err = s.manifests(ctx, query, order, repo.ID, p.Last, limit+1); err != nil {
		return nil, false, fmt.Errorf("list manifests of %s: %w", repo.Name, err)
	}
	return list[:min(len(list), limit)], len(list) > limit, nil
}
