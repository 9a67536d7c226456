package agent

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"slipway/internal/pipelines/job"
)

// The keys of caches, after src/Agent.Plugins/PipelineCache/FingerprintCreator.cs of microsoft/azure-pipelines-agent.

// saltVariable is a variable whose value, when it is set, becomes a part of every key: changing it leaves all caches behind.
const saltVariable = "AZP_CACHING_SALT"

// keyParts are the parts of a key or restore key, which bars part.
func (t *task) keyParts(key string) []string {
	return t.salted(strings.FieldsFunc(key, func(r rune) bool { return r == '|' }))
}

// keyLines are the parts of a key in the form of CacheBeta@0, one a line.
func (t *task) keyLines(key string) []string {
	return t.salted(strings.FieldsFunc(key, func(r rune) bool { return r == '\n' || r == '\r' }))
}

func (t *task) salted(parts []string) []string {
	for i, part := range parts {
		parts[i] = strings.TrimSpace(part)
	}
	if salt := t.vars.Expand(t.vars.Text(saltVariable)); strings.TrimSpace(salt) != "" {
		parts = append([]string{saltVariable + "=" + salt}, parts...)
	}
	return parts
}

// isPath reports whether a part of a key means files: it looks like a path, and is not in double quotes.
func isPath(part string) bool {
	if strings.HasPrefix(part, `"`) && strings.HasSuffix(part, `"`) {
		return false
	}
	return strings.ContainsAny(part, "./") && !strings.HasSuffix(part, ".") && !strings.Contains(part, "\x00")
}

func checkPart(part string) error {
	switch {
	case part == "":
		return errors.New("a part of the key is empty: is a variable in it not set?")
	case part == "*" || part == "**":
		return fmt.Errorf("%s alone is no part of a key: write ./%s for files", part, part)
	case part[0] == '\'' || part[0] == '`':
		return fmt.Errorf("the part %s of the key begins with %c: text is put in double quotes", part, part[0])
	}
	return nil
}

// resolveKey makes a key of its parts: text stands for itself, and files for a hash of their contents.
func (t *task) resolveKey(parts []string) (string, error) {
	for _, part := range parts {
		if err := checkPart(part); err != nil {
			return "", err
		}
	}
	resolved := make([]string, len(parts))
	for i, part := range parts {
		if !isPath(part) {
			t.log.Printf(" - %s [text]", part)
			resolved[i] = part
			continue
		}
		var err error
		if resolved[i], err = t.hashPart(part); err != nil {
			return "", err
		}
	}
	key := strings.Join(resolved, "|")
	if len(key) > job.MaxCacheKey {
		return "", fmt.Errorf("the key has %d bytes, more than the %d that are allowed: put a hash in place of long parts", len(key), job.MaxCacheKey)
	}
	t.log.Printf("Resolved to: %s", key)
	return key, nil
}

// hashPart is a hash of the names and contents of the files that a part of a key means: patterns parted by commas, of which
// those with an exclamation mark take files out.
func (t *task) hashPart(part string) (string, error) {
	var includes, excludes []string
	for rule := range strings.SplitSeq(part, ",") {
		rule = strings.TrimSpace(rule)
		if bare, excluded := strings.CutPrefix(rule, "!"); excluded {
			excludes = append(excludes, t.absolute(bare))
		} else if rule != "" {
			includes = append(includes, t.absolute(rule))
		}
	}
	if len(includes) == 0 {
		return "", fmt.Errorf("the part %q of the key only takes files out: name those that it is about", part)
	}
	files, err := keyFiles(includes, excludes)
	if err != nil {
		return "", fmt.Errorf("look for the files of %q: %w", part, err)
	}
	if len(files) == 0 {
		return "", fmt.Errorf("no file is found for the part %q of the key, looked for in %s: text that looks like a path is put in double quotes", part, t.folders.sources)
	}
	t.log.Printf(" - %s [%d files]", part, len(files))
	sum := sha256.New()
	for _, path := range files {
		shown, err := filepath.Rel(t.folders.workspace, path)
		if err != nil {
			shown = path
		}
		hash, size, err := hashFile(path)
		if err != nil {
			return "", fmt.Errorf("hash a file of the key: %w", err)
		}
		t.log.Printf("   - %s --> %s", shown, hash)
		fmt.Fprintf(sum, "\nSHA256(%s)=[%d]%s", shown, size, hash)
	}
	return base64.StdEncoding.EncodeToString(sum.Sum(nil)), nil
}

func hashFile(path string) (hash string, size int64, err error) {
	file, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer file.Close()
	sum := sha256.New()
	size, err = io.Copy(sum, file)
	return strings.ToUpper(hex.EncodeToString(sum.Sum(nil))), size, err
}

// keyFiles lists the files that a pattern includes and none excludes, in order of their names. Patterns are absolute. Unlike find,
// it looks into every folder.
func keyFiles(includes, excludes []string) ([]string, error) {
	for i := range excludes {
		excludes[i] = plainBraces(excludes[i])
	}
	var found []string
	for _, include := range includes {
		list, err := matchFiles(include)
		if err != nil {
			return nil, err
		}
		for _, path := range list {
			excluded := slices.ContainsFunc(excludes, func(pattern string) bool { return doublestar.MatchUnvalidated(pattern, path) })
			if !excluded {
				found = append(found, path)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// matchFiles lists the regular files that one absolute pattern matches.
func matchFiles(include string) ([]string, error) {
	wild := strings.IndexAny(include, "*?[")
	if wild < 0 {
		if info, err := os.Stat(include); err != nil || !info.Mode().IsRegular() {
			return nil, nil
		}
		return []string{include}, nil
	}
	pattern := plainBraces(include)
	if !doublestar.ValidatePattern(pattern) {
		return nil, fmt.Errorf("%s is no pattern", include)
	}
	base := include[:strings.LastIndexByte(include[:wild], '/')+1]
	deep := strings.Contains(include, "**")
	var found []string
	visited := 0
	err := filepath.WalkDir(base, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // no such folder, or one that cannot be read
		}
		if visited++; visited > maxFound {
			return fmt.Errorf("%s has more than %d files to look at", base, maxFound)
		}
		if d.IsDir() {
			if !deep && path != base && strings.Count(path, "/") >= strings.Count(include, "/") {
				return fs.SkipDir
			}
			return nil
		}
		if !doublestar.MatchUnvalidated(pattern, path) {
			return nil
		}
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			found = append(found, path)
		}
		return nil
	})
	return found, err
}
