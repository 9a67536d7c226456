package pipelines

import (
	"context"
	"fmt"
	"strings"

	"slipway"
	"slipway/internal/pipelines/compile"
	"slipway/internal/pipelines/trigger"
)

// Untriggered says of each pipeline of the repository that starts no run of a push why that is, a sentence each. Of a file whose triggers
// cannot be read it says nothing: its run says what is wrong.
func (s *Service) Untriggered(ctx context.Context, p Push) ([]string, error) {
	if p.After.IsZero() || !strings.HasPrefix(p.Ref, "refs/heads/") && !strings.HasPrefix(p.Ref, "refs/tags/") {
		return nil, nil
	}
	definitions, err := s.definitionsOf(ctx, p.Repository)
	if err != nil {
		return nil, err
	}
	if p.Message == "" && len(definitions) > 0 {
		commit, err := s.Source.Commit(ctx, p.Repository, p.After)
		if err != nil {
			return nil, err
		}
		p.Message = commit.Message
	}
	var list []string
	for i := range definitions {
		why, err := s.untriggered(ctx, &definitions[i], p)
		if err != nil {
			return nil, fmt.Errorf("pipeline %q: %w", definitions[i].Name, err)
		}
		if why != "" {
			list = append(list, fmt.Sprintf("Pipeline %s starts no run: %s.", definitions[i].Name, why))
		}
	}
	return list, nil
}

// untriggered is why a push starts no run of one pipeline; "" if it does, or waits for the run before.
func (s *Service) untriggered(ctx context.Context, d *Definition, p Push) (string, error) {
	data, err := s.Source.ReadFile(ctx, d.Repository, p.After, d.Path, maxFile)
	switch {
	case slipway.CodeOf(err) == slipway.CodeNotFound:
		return "the pushed commit has no " + d.Path, nil
	case err != nil:
		return "", err
	case d.Disabled:
		return "it is disabled, so that only people start runs", nil
	}
	t, err := compile.Triggers(d.Path, data)
	if err != nil {
		return "", nil //nolint:nilerr // the run of the push says what is wrong with the file
	}
	starts, why := trigger.Match(t.Push, trigger.Event{Ref: p.Ref, Paths: p.Paths, PathsUnknown: p.PathsUnknown, Message: p.Message})
	if starts {
		return "", nil
	}
	return why, nil
}
