package lineage

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"slipway"
	"slipway/internal/db"
)

var (
	itemForm   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(?i:AB)?#([0-9]{1,18})$`) })
	pullForm   = regexp.MustCompile(`^(?:!|(?i:PR ?))([0-9]{1,18})$`) // Azure Repos writes !12
	hexForm    = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-f]{7,64}$`) })
	digestForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(sha256|sha512):[0-9a-f]{6,128}$`) })
	podForm    = regexp.MustCompile(`^[a-z0-9-]+/[a-z0-9.-]+$`)
)

// Resolve reads a thing as people write it: `run:12`, `AB#12`, `!12` of a pull request, a commit or digest or their first digits, a trace id,
// `NAMESPACE/POD`. Where the beginning fits several things it returns all of them, at most ten; NotFound when none.
func (s *Service) Resolve(ctx context.Context, project slipway.ProjectID, text string) ([]slipway.Reference, error) {
	text = strings.TrimSpace(text)
	lower := strings.ToLower(text)
	if m := itemForm().FindStringSubmatch(text); m != nil {
		return []slipway.Reference{slipway.Ref(slipway.RefWorkItem, m[1])}, nil
	}
	if m := pullForm.FindStringSubmatch(text); m != nil {
		return []slipway.Reference{slipway.Ref(slipway.RefPullRequest, m[1])}, nil
	}
	var list []slipway.Reference
	look := func(kind slipway.ReferenceKind, prefix string) error {
		found, err := s.beginning(ctx, project, kind, prefix)
		list = append(list, found...)
		return err
	}
	var err error
	switch {
	case digestForm().MatchString(lower):
		err = look(slipway.RefImage, lower)
	case podForm.MatchString(lower):
		err = look(slipway.RefPod, lower)
	case hexForm().MatchString(lower):
		for _, kind := range []slipway.ReferenceKind{slipway.RefCommit, slipway.RefTrace} {
			if err = look(kind, lower); err != nil {
				break
			}
		}
		if err == nil {
			err = look(slipway.RefImage, "sha256:"+lower)
		}
	default:
		r, parsing := slipway.ParseReference(text)
		if parsing != nil {
			return nil, slipway.Invalid("%.80q names nothing that can be traced: write AB#12, run:12, !12 for a pull request, a commit, a digest, a trace id or NAMESPACE/POD", text)
		}
		return []slipway.Reference{r}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("resolve %q: %w", text, err)
	}
	if len(list) == 0 {
		return nil, slipway.NotFound("nothing is known of %.80q", text)
	}
	return list[:min(len(list), 10)], nil
}

// beginning lists up to ten things of the kind whose id begins with prefix.
func (s *Service) beginning(ctx context.Context, project slipway.ProjectID, kind slipway.ReferenceKind, prefix string) ([]slipway.Reference, error) {
	// From the prefix up to, not including, what sorts behind all that begin with it; ids are ASCII.
	const query = `
		SELECT from_id FROM lineage_edges
		WHERE from_kind = $1 AND from_id >= $2 AND from_id < $3 AND ($4 = '' OR project = $4)
		UNION
		SELECT to_id FROM lineage_edges
		WHERE to_kind = $1 AND to_id >= $2 AND to_id < $3 AND ($4 = '' OR project = $4)
		ORDER BY 1 LIMIT 100`
	ids, err := db.List(ctx, s.db, db.Value[string], query, string(kind), prefix, prefix+"~", string(project))
	if err != nil {
		return nil, err
	}
	if slices.Contains(ids, prefix) {
		ids = []string{prefix}
	}
	list := []slipway.Reference{}
	for _, id := range ids {
		if strings.HasPrefix(id, prefix) && len(list) < 10 {
			list = append(list, slipway.Reference{Kind: kind, ID: id})
		}
	}
	return list, nil
}
