package repos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"slipway"
)

const (
	// maxBlamed bounds a file whose lines are blamed, in bytes.
	maxBlamed = 2 << 20
	// blameTime bounds git's search for them.
	blameTime = 20 * time.Second
	// ignoredRevisions is the file that names commits which changed lines without a change in what they say, as formatting does:
	// blame goes past them. It is the name that the large hosts have agreed on.
	ignoredRevisions    = ".git-blame-ignore-revs"
	maxIgnoredRevisions = 1 << 20
)

// Blame tells of each line of a file which commit wrote it.
type Blame struct {
	Lines    []BlameLine
	Commits  map[slipway.CommitID]BlameCommit
	Ignored  bool // the repository has a file .git-blame-ignore-revs, which was followed
	TimedOut bool // it took too long, and there are no lines
}

// BlameLine is one line.
type BlameLine struct {
	Commit   slipway.CommitID
	Original int // the line's number in that commit
	Text     string
}

// BlameCommit is a commit that wrote lines.
type BlameCommit struct {
	ID           slipway.CommitID
	Author       Signature
	Subject      string
	Path         string           // of the file in that commit
	Previous     slipway.CommitID // the commit before this change; zero where the file begins
	PreviousPath string
}

// Blame says who wrote the lines of a file as it is at a commit. A file of more than 2 MiB is a Limit, a binary one Unsupported.
func (s *Service) Blame(ctx context.Context, id slipway.RepositoryID, commit slipway.CommitID, path string) (Blame, error) {
	key := folderKey{string(id), string(commit), path}
	if b, ok := s.caches.blames.Get(key); ok {
		return b, nil
	}
	f, err := s.File(ctx, id, commit, path, maxBlamed)
	switch {
	case err != nil:
		return Blame{}, err
	case f.TooLarge:
		return Blame{}, slipway.Limit("the file %q has %d bytes: lines are blamed of files of at most %d", path, f.Size, maxBlamed)
	case f.Binary:
		return Blame{}, slipway.Unsupported("the file %q is binary: it has no lines to blame", path)
	}
	work, err := os.MkdirTemp(s.git.scratch, "blame-")
	if err != nil {
		return Blame{}, fmt.Errorf("make folder for a blame: %w", err)
	}
	defer os.RemoveAll(work)
	ignore, err := s.ignoredRevisions(ctx, id, commit, work)
	if err != nil {
		return Blame{}, err
	}
	b, err := s.runBlame(ctx, id, commit, f.Path, ignore)
	if err != nil {
		return Blame{}, err
	}
	b.Ignored = ignore != ""
	if len(b.Lines) > 0 && len(b.Lines) <= maxCachedLines {
		s.caches.blames.Add(key, b)
	}
	return b, nil
}

func (s *Service) runBlame(ctx context.Context, id slipway.RepositoryID, commit slipway.CommitID, path, ignore string) (Blame, error) {
	limited, cancel := context.WithTimeout(ctx, blameTime)
	defer cancel()
	args := []string{"blame", "--porcelain", "--no-progress"}
	if ignore != "" {
		args = append(args, "--ignore-revs-file="+ignore)
	}
	out, err := s.git.run(limited, command{dir: s.dir(id), args: append(args, string(commit), "--", path), limit: 64 << 20, long: true})
	switch {
	case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		return Blame{TimedOut: true}, nil
	case errors.Is(err, errOutputLimit):
		return Blame{}, slipway.Limit("the history of the lines of %q is too large to show", path)
	case err != nil:
		return Blame{}, fmt.Errorf("blame %s of repository %s: %w", path, id, err)
	}
	return parseBlame(out)
}

var objectLine = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(?:[0-9a-f]{40}|[0-9a-f]{64})$`) })

// ignoredRevisions writes the commits to go past to a file below work, and returns its name; empty when the repository names none. Lines that
// are neither object names nor comments are left out, since git would refuse the whole for one of them.
func (s *Service) ignoredRevisions(ctx context.Context, id slipway.RepositoryID, commit slipway.CommitID, work string) (string, error) {
	text, err := s.ReadFile(ctx, id, commit, ignoredRevisions, maxIgnoredRevisions)
	if code := slipway.CodeOf(err); code != "" && code != slipway.CodeInternal { // there is no such file, or none that can be used
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	for line := range strings.Lines(string(text)) {
		name, _, _ := strings.Cut(line, "#")
		if name = strings.ToLower(strings.TrimSpace(name)); objectLine().MatchString(name) {
			out.WriteString(name + "\n")
		}
	}
	if out.Len() == 0 {
		return "", nil
	}
	file := filepath.Join(work, "ignore")
	return file, os.WriteFile(file, out.Bytes(), 0o600)
}

// parseBlame reads git's porcelain form (git-blame(1)): for each line a header with the commit and the line's numbers, what is new about the
// commit, and the line itself after a tab.
func parseBlame(out []byte) (Blame, error) {
	b := Blame{Commits: map[slipway.CommitID]BlameCommit{}}
	var line BlameLine
	var c BlameCommit
	header := true
	for text := range strings.SplitAfterSeq(string(out), "\n") {
		if text == "" {
			break
		}
		text = strings.TrimSuffix(text, "\n")
		switch content, isContent := strings.CutPrefix(text, "\t"); {
		case isContent:
			line.Text = content
			b.Lines, b.Commits[c.ID] = append(b.Lines, line), c
			header = true
		case header:
			fields := strings.Fields(text)
			if len(fields) < 3 || !objectLine().MatchString(fields[0]) {
				return b, fmt.Errorf("read git's blame: unexpected line %q", shorten(text, 100))
			}
			line = BlameLine{Commit: slipway.CommitID(fields[0])}
			line.Original, _ = strconv.Atoi(fields[1])
			c = b.Commits[line.Commit]
			c.ID = line.Commit
			header = false
		default:
			c.take(text)
		}
	}
	return b, nil
}

func (c *BlameCommit) take(text string) {
	key, value, _ := strings.Cut(text, " ")
	switch key {
	case "author":
		c.Author.Name = strings.ToValidUTF8(value, "\uFFFD")
	case "author-mail":
		c.Author.Email = strings.Trim(value, "<>")
	case "author-time":
		if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
			c.Author.Time = time.Unix(seconds, 0).UTC()
		}
	case "summary":
		c.Subject = strings.ToValidUTF8(value, "\uFFFD")
	case "filename":
		c.Path = value
	case "previous":
		previous, path, _ := strings.Cut(value, " ")
		c.Previous, c.PreviousPath = slipway.CommitID(previous), path
	}
}
