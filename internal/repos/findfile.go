package repos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"slipway"
)

const (
	// maxPathsBytes bounds the names of all the files of a commit, in bytes; what is beyond is not found by name.
	maxPathsBytes = 64 << 20
	maxFileQuery  = 200
)

// FoundFile is a file that fits what somebody typed.
type FoundFile struct {
	Path    string
	Matched []int // byte offsets in Path of the characters that fit
	score   int
}

// FindFiles returns the files of a commit whose path has the characters of query in their order, in any case, the best first, at most limit.
// An empty query finds nothing.
func (s *Service) FindFiles(ctx context.Context, id slipway.RepositoryID, commit slipway.CommitID, query string, limit int) ([]FoundFile, error) {
	query = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, query)
	if len(query) > maxFileQuery {
		return nil, slipway.Invalid("a file is looked for by at most %d characters", maxFileQuery)
	}
	if query == "" {
		return nil, nil
	}
	paths, err := s.allPaths(ctx, id, commit)
	if err != nil {
		return nil, err
	}
	var found []FoundFile
	for _, p := range paths {
		if f, ok := fit(p, query); ok {
			found = append(found, f)
		}
	}
	slices.SortStableFunc(found, func(a, b FoundFile) int {
		if a.score != b.score {
			return b.score - a.score
		}
		return len(a.Path) - len(b.Path)
	})
	return found[:min(len(found), limit)], nil
}

// allPaths lists the files of a commit.
func (s *Service) allPaths(ctx context.Context, id slipway.RepositoryID, commit slipway.CommitID) ([]string, error) {
	if err := checkCommitID(commit); err != nil {
		return nil, err
	}
	key := folderKey{repository: string(id), commit: string(commit)}
	if paths, ok := s.caches.paths.Get(key); ok {
		return paths, nil
	}
	out, err := s.git.run(ctx, command{dir: s.dir(id), args: []string{"ls-tree", "-r", "-z", "--name-only", "--full-tree", string(commit)}, limit: maxPathsBytes, long: true})
	if err != nil && !errors.Is(err, errOutputLimit) {
		return nil, fmt.Errorf("list files of repository %s: %w", id, err)
	}
	var paths []string
	for path := range strings.SplitSeq(string(out), "\x00") {
		if path != "" && utf8.ValidString(path) {
			paths = append(paths, path)
		}
	}
	s.caches.paths.Add(key, paths)
	return paths, nil
}

// Scores of one character that fits: more where a word begins and in the file's own name, and for characters that follow one another.
const (
	scoreCharacter = 1
	scoreNext      = 5
	scoreWord      = 8
	scoreName      = 3
	scoreWholeName = 60
)

// fit matches query from the end of the path, so that the file's own name counts before its folders.
func fit(path, query string) (FoundFile, bool) {
	f := FoundFile{Path: path}
	name := strings.LastIndexByte(path, '/') + 1
	at, q := len(path), len(query)
	for q > 0 {
		want, size := utf8.DecodeLastRuneInString(query[:q])
		q -= size
		i := lastIndexFold(path[:at], want)
		if i < 0 {
			return f, false
		}
		f.Matched = append(f.Matched, i)
		at = i
	}
	slices.Reverse(f.Matched)
	for n, i := range f.Matched {
		f.score += scoreCharacter
		if n > 0 && i == f.Matched[n-1]+1 {
			f.score += scoreNext
		}
		if wordBegins(path, i) {
			f.score += scoreWord
		}
		if i >= name {
			f.score += scoreName
		}
	}
	base := path[name:]
	stem, _, _ := strings.Cut(base, ".")
	if strings.EqualFold(base, query) || strings.EqualFold(stem, query) {
		f.score += scoreWholeName
	}
	return f, true
}

func lastIndexFold(s string, want rune) int {
	lower, upper := unicode.ToLower(want), unicode.ToUpper(want)
	return max(strings.LastIndex(s, string(lower)), strings.LastIndex(s, string(upper)))
}

func wordBegins(path string, i int) bool {
	if i == 0 {
		return true
	}
	before, _ := utf8.DecodeLastRuneInString(path[:i])
	here, _ := utf8.DecodeRuneInString(path[i:])
	return strings.ContainsRune("/_-. ", before) || unicode.IsLower(before) && unicode.IsUpper(here)
}
