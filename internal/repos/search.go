package repos

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"slipway"
)

const (
	// searchTime bounds a search through the files of one commit.
	searchTime = 15 * time.Second
	// maxSearchOutput bounds what git finds, in bytes.
	maxSearchOutput = 2 << 20
	// maxSearchLines bounds the lines found, and maxLinesPerFile those of one file.
	maxSearchLines, maxLinesPerFile = 1000, 50
	// maxSearchText bounds what is looked for, and maxSearchPaths the number of path filters.
	maxSearchText, maxSearchPaths = 1000, 20
	// maxFoundLine bounds a line that is shown, in bytes.
	maxFoundLine = 1000
)

// GrepRequest asks for the lines of a commit's files that hold a text, as git-grep(1) does.
type GrepRequest struct {
	Repository slipway.RepositoryID
	Commit     slipway.CommitID
	Pattern    string
	Regex      bool     // Pattern is an extended regular expression (POSIX), else it is the text itself
	IgnoreCase bool     // git grep -i
	Word       bool     // git grep -w
	Paths      []string // only files that match one of these; `*.go`, `docs/`, `:(exclude)vendor` or `!vendor`; none means all
	Context    int      // lines shown before and after each, at most 5
	Limit      int      // lines, at most 1000, which is also the default
}

// GrepResult is what was found.
type GrepResult struct {
	Files    []GrepFile // in the order of their paths
	Lines    int        // matching lines in all
	More     bool       // there are more than are shown
	TimedOut bool       // the time was over before all files were looked at
}

// GrepFile is a file with what was found in it.
type GrepFile struct {
	Path   string
	Groups [][]GrepLine // lines that follow one another
}

// GrepLine is a line that matches, or one near it.
type GrepLine struct {
	Number int
	Parts  []GrepPart
	Match  bool
}

// GrepPart is a piece of a line.
type GrepPart struct {
	Text  string
	Match bool
}

// Grep looks through the files of a commit. An expression that git does not understand is Invalid.
func (s *Service) Grep(ctx context.Context, req GrepRequest) (GrepResult, error) {
	args, err := req.arguments()
	if err != nil {
		return GrepResult{}, err
	}
	limited, cancel := context.WithTimeout(ctx, searchTime)
	defer cancel()
	out, err := s.git.run(limited, command{dir: s.dir(req.Repository), args: args, limit: maxSearchOutput, long: true})
	cut := errors.Is(err, errOutputLimit)
	timedOut := ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded)
	var failed *gitError
	switch {
	case err == nil, exitCode(err) == 1, timedOut, cut: // 1: nothing found
	case errors.As(err, &failed) && exitCode(err) == 128 && req.Regex:
		_, why, _ := strings.Cut(failed.stderr, ": ")
		return GrepResult{}, slipway.Invalid("the expression %q cannot be searched for: %s", shorten(req.Pattern, 100), cmp.Or(why, failed.stderr)).Because(err)
	default:
		return GrepResult{}, fmt.Errorf("search repository %s: %w", req.Repository, err)
	}
	if cut || timedOut {
		out = out[:bytes.LastIndexByte(out, '\n')+1]
	}
	r := parseGrep(string(out), string(req.Commit)+":", cmp.Or(min(req.Limit, maxSearchLines), maxSearchLines))
	r.More, r.TimedOut = r.More || cut, timedOut
	return r, nil
}

// The colours tell where a file's name and a match begin and end; everything else has none.
const nameBegin, matchBegin, colourEnd = "\x1b[2m", "\x1b[1;4m", "\x1b[m"

func (r GrepRequest) arguments() ([]string, error) {
	if err := checkCommitID(r.Commit); err != nil {
		return nil, err
	}
	if r.Pattern == "" || len(r.Pattern) > maxSearchText || strings.ContainsAny(r.Pattern, "\x00\n") {
		return nil, slipway.Invalid("say what to look for: one line of at most %d characters", maxSearchText)
	}
	if len(r.Paths) > maxSearchPaths {
		return nil, slipway.Limit("a search takes at most %d path filters", maxSearchPaths)
	}
	var args []string
	for _, what := range []string{"lineNumber", "column", "selected", "context", "separator", "function"} {
		args = append(args, "-c", "color.grep."+what+"=normal")
	}
	args = append(args, "-c", "color.grep.filename=dim", "-c", "color.grep.match=bold ul", "grep", "--color=always", "-I", "--line-number", "--full-name", "--threads=2",
		"--max-count="+strconv.Itoa(maxLinesPerFile), "--context="+strconv.Itoa(min(max(r.Context, 0), 5)))
	switch {
	case r.Regex:
		args = append(args, "--extended-regexp")
	default:
		args = append(args, "--fixed-strings")
	}
	if r.IgnoreCase {
		args = append(args, "--ignore-case")
	}
	if r.Word {
		args = append(args, "--word-regexp")
	}
	args = append(args, "-e", r.Pattern, string(r.Commit), "--")
	for _, p := range r.Paths {
		spec, err := pathFilter(p)
		if err != nil {
			return nil, err
		}
		args = append(args, spec)
	}
	return args, nil
}

// pathFilter makes one of git's pathspecs: `!` before it excludes; a pattern without a slash matches at any depth.
func pathFilter(p string) (string, error) {
	rest, exclude := p, false
	for _, prefix := range []string{"!", ":!", ":^", ":(exclude)"} {
		if after, ok := strings.CutPrefix(p, prefix); ok {
			rest, exclude = after, true
		}
	}
	rest = strings.TrimPrefix(rest, "/")
	if rest == "" || strings.HasPrefix(rest, ":") || checkPath(rest) != nil {
		return "", slipway.Invalid("%q is no path filter: write *.go, docs/ or !vendor/", shorten(p, 100))
	}
	if !strings.Contains(strings.TrimSuffix(rest, "/"), "/") && strings.ContainsAny(rest, "*?[") {
		rest = "**/" + rest
	}
	if exclude {
		return ":(top,glob,exclude)" + deep(rest), nil
	}
	return ":(top,glob)" + deep(rest), nil
}

// deep makes a folder's name match what is in it.
func deep(spec string) string {
	if strings.HasSuffix(spec, "/") {
		return spec + "**"
	}
	return spec
}

// parseGrep reads `COMMIT:path:number:text` of lines that match and `COMMIT:path-number-text` of lines near them, the name in its colour.
// Groups are parted by a line of two hyphens.
func parseGrep(out, prefix string, limit int) GrepResult {
	var r GrepResult
	fresh := true
	for line := range strings.Lines(out) {
		line = strings.TrimSuffix(line, "\n")
		if line == "--" {
			fresh = true
			continue
		}
		path, found, ok := parseGrepLine(line, prefix)
		if !ok {
			continue
		}
		if found.Match {
			if r.Lines == limit {
				r.More = true
				return r
			}
			r.Lines++
		}
		if n := len(r.Files); n == 0 || r.Files[n-1].Path != path {
			r.Files, fresh = append(r.Files, GrepFile{Path: path}), true
		}
		f := &r.Files[len(r.Files)-1]
		if fresh {
			f.Groups, fresh = append(f.Groups, nil), false
		}
		last := len(f.Groups) - 1
		f.Groups[last] = append(f.Groups[last], found)
	}
	return r
}

// parseGrepLine reads one line. Paths with unusual characters stand in quotes behind the commit, as in C.
func parseGrepLine(line, prefix string) (path string, l GrepLine, ok bool) {
	name, rest, ok := strings.Cut(strings.TrimPrefix(line, nameBegin), colourEnd)
	if !ok || rest == "" {
		return "", l, false
	}
	path, ok = strings.CutPrefix(name, prefix)
	if plain, err := strconv.Unquote(path); err == nil {
		path = plain
	}
	separator := rest[:1]
	number, text, ok2 := strings.Cut(rest[1:], separator)
	n, err := strconv.Atoi(number)
	if !ok || !ok2 || err != nil {
		return "", l, false
	}
	l = GrepLine{Number: n, Match: separator == ":"}
	for text != "" {
		plain, after, ok := strings.Cut(text, matchBegin)
		l.add(plain, false)
		if !ok {
			break
		}
		var match string
		match, text, _ = strings.Cut(after, colourEnd)
		l.add(match, true)
	}
	l.cut()
	return path, l, true
}

func (l *GrepLine) add(text string, match bool) {
	if text = strings.ReplaceAll(text, colourEnd, ""); text != "" {
		l.Parts = append(l.Parts, GrepPart{Text: strings.ToValidUTF8(text, "\uFFFD"), Match: match})
	}
}

// cut shortens a long line around its first match.
func (l *GrepLine) cut() {
	size, first := 0, -1
	for i, p := range l.Parts {
		size += len(p.Text)
		if p.Match && first < 0 {
			first = i
		}
	}
	if size <= maxFoundLine {
		return
	}
	if first > 0 { // what stands before the match shows its end
		before := l.Parts[first-1].Text
		if over := len(before) - maxFoundLine/4; over > 0 {
			for !utf8.RuneStart(before[over]) {
				over++
			}
			l.Parts = l.Parts[first-1:]
			l.Parts[0].Text = "…" + before[over:]
		}
	}
	room := maxFoundLine
	for i := range l.Parts {
		if len(l.Parts[i].Text) > room {
			l.Parts[i].Text = shorten(l.Parts[i].Text, room)
			l.Parts = l.Parts[:i+1]
			return
		}
		room -= len(l.Parts[i].Text)
	}
}
