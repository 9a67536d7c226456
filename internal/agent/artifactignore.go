package agent

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/bmatcuk/doublestar/v4"
)

const (
	// ignoreFile says in the folder that becomes a pipeline artifact which of its files do not.
	ignoreFile = ".artifactignore"
	// maxIgnoreFile bounds that file, in bytes.
	maxIgnoreFile = 1 << 20
)

// ignoreRule is a line of an ignore file.
type ignoreRule struct {
	glob   string
	take   bool // the line begins with !
	folder bool // it means folders alone
}

// ignoreRules are the lines of a file in the syntax of .gitignore (https://git-scm.com/docs/gitignore). Each file is judged by itself, and
// the last line that fits it decides, so that `!src/app/**` takes files out of a folder that `**/*` ignores: that is how Azure reads
// .artifactignore, and not how git reads .gitignore.
type ignoreRules []ignoreRule

// artifactIgnored are the rules of a folder that is published. Without a file of them the folder .git is left out:
// https://learn.microsoft.com/azure/devops/artifacts/reference/artifactignore.
func artifactIgnored(folder string) (ignoreRules, error) {
	file, err := os.Open(filepath.Join(folder, ignoreFile))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) { // a single file is published
		return newIgnoreRules("/.git/"), nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxIgnoreFile+1))
	if err == nil && len(text) > maxIgnoreFile {
		err = fmt.Errorf("it has more than %d bytes", maxIgnoreFile)
	}
	if err == nil && !utf8.Valid(text) {
		err = errors.New("it is not UTF-8")
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file.Name(), err)
	}
	return newIgnoreRules(strings.TrimPrefix(string(text), "\uFEFF")), nil
}

func newIgnoreRules(text string) ignoreRules {
	var rules ignoreRules
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if kept := strings.TrimRight(line, " "); !strings.HasSuffix(kept, `\`) {
			line = kept
		}
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		var rule ignoreRule
		line, rule.take = strings.CutPrefix(line, "!")
		line, rule.folder = strings.CutSuffix(line, "/")
		if strings.Contains(line, "/") {
			line = strings.TrimPrefix(line, "/")
		} else {
			line = "**/" + line
		}
		rule.glob = plainBraces(line)
		rules = append(rules, rule)
	}
	return rules
}

// ignores says whether a file is left out. The path is relative, with slashes.
func (r ignoreRules) ignores(path string) bool {
	for i := len(r) - 1; i >= 0; i-- {
		if r[i].fits(path) {
			return !r[i].take
		}
	}
	return false
}

// fits says whether a rule means the file or a folder that it is in.
func (r ignoreRule) fits(path string) bool {
	if ok, err := doublestar.Match(r.glob, path); err == nil && ok && !r.folder {
		return true
	}
	for i := range path {
		if path[i] != '/' {
			continue
		}
		if ok, err := doublestar.Match(r.glob, path[:i]); err == nil && ok {
			return true
		}
	}
	return false
}
