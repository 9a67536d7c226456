package repos

import (
	"context"
	"fmt"
	"path"
	"strings"

	"slipway"
)

// Submodules returns the addresses of a commit's submodules by their paths, as its file .gitmodules has them; they may be relative.
func (s *Service) Submodules(ctx context.Context, id slipway.RepositoryID, commit slipway.CommitID) (map[string]string, error) {
	f, err := s.File(ctx, id, commit, ".gitmodules", 1<<20)
	if code := slipway.CodeOf(err); err != nil && code != slipway.CodeInternal || f.TooLarge {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	args := []string{"config", "--blob", f.Object, "-z", "--get-regexp", `^submodule\..*\.(path|url)$`}
	out, err := s.git.run(ctx, command{dir: s.dir(id), args: args})
	if exitCode(err) > 0 { // 1: it names none; others: git cannot read it
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read .gitmodules of repository %s: %w", id, err)
	}
	paths, urls := map[string]string{}, map[string]string{}
	for entry := range strings.SplitSeq(string(out), "\x00") {
		key, value, _ := strings.Cut(entry, "\n")
		if name, ok := strings.CutSuffix(key, ".path"); ok {
			paths[name] = value
		} else if name, ok := strings.CutSuffix(key, ".url"); ok {
			urls[name] = value
		}
	}
	list := map[string]string{}
	for name, p := range paths {
		if urls[name] != "" {
			list[path.Clean(p)] = urls[name]
		}
	}
	return list, nil
}
