package template

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"slipway"
	"slipway/internal/pipelines/yaml"
)

// Files reads files of one repository at one commit. Paths are relative to its root, cleaned, with slashes, and never
// lead out of it. For an absent file errors.Is(err, fs.ErrNotExist).
type Files interface {
	ReadFile(path string) ([]byte, error)
}

// Lister is what Files may be too: it names what is in a folder of the repository, "" being its root, and nothing for one that is
// not there. It serves to suggest a file in place of one that does not exist.
type Lister interface {
	List(folder string) []string
}

// bounds says why the root file's repository ends where it does, if its Files have a method of that name that knows.
func (e *expander) bounds(alias string) string {
	if b, ok := e.in.Files.(interface{ Bounds() string }); ok && alias == "" && b.Bounds() != "" {
		return ", " + b.Bounds()
	}
	return ""
}

// source is a file of a repository; alias is "" for the repository of the root file.
type source struct {
	alias string
	path  string
}

// label is the file's name in positions.
func (s source) label() string {
	if s.alias == "" {
		return s.path
	}
	return s.path + "@" + s.alias
}

// filesOf are the files of a source's repository, which is open.
func (e *expander) filesOf(s source) Files {
	if s.alias == "" {
		return e.in.Files
	}
	return e.repositories[strings.ToLower(s.alias)].files
}

// read gives the tree of a file that another includes by a reference, itself for the root. Its problems are recorded.
func (e *expander) read(s, from source, reference *yaml.Node) *yaml.Node {
	label, at := s.label(), reference.At
	if n, ok := e.trees[label]; ok {
		return n
	}
	e.trees[label] = nil
	e.sources = append(e.sources, label)
	e.byLabel[label] = s
	files := e.filesOf(s)
	data, err := files.ReadFile(s.path)
	if err != nil {
		var problem *slipway.Problem
		switch {
		case errors.Is(err, fs.ErrNotExist):
			instead := e.meant(s, from, reference)
			if instead == "" {
				instead = e.bounds(s.alias)
			}
			e.problems.Add(at, "there is no file %s in %s%s", s.path, s.repository(), instead)
		case errors.As(err, &problem):
			e.problems.Append(at, problem)
		default:
			e.problems.Append(at, fmt.Errorf("read template %s: %w", label, err))
		}
		return nil
	}
	n, err := yaml.Read(label, data)
	e.problems.Append(at, err)
	if n != nil && n.Kind != yaml.Map {
		e.problems.Add(n.At, "a pipeline file is a map of keys like steps and variables, this is %s", n.Kind)
		n = nil
	}
	e.trees[label] = n
	return n
}

func (s source) repository() string {
	if s.alias == "" {
		return "this repository"
	}
	return "repository " + s.alias
}

// including is the file that a scope expands.
func (e *expander) including(sc *scope) source {
	if sc.file == nil {
		return source{path: e.in.Path}
	}
	return e.byLabel[sc.file.label]
}

// resolve finds the file that a template reference means where a scope's file includes it. That may be another file than the one
// in which the reference is written: a parameter's steps begin their paths where they are put in, as at Azure
// (microsoft/azure-pipelines-yaml issue 271, MicrosoftDocs/azure-devops-docs issue 8106). ok is false after a problem.
func (e *expander) resolve(reference string, at slipway.Position, sc *scope) (s source, ok bool) {
	from := e.including(sc)
	name, alias, hasAlias := strings.Cut(reference, "@")
	s = source{alias: from.alias}
	if hasAlias {
		s.alias = alias
		if strings.EqualFold(alias, "self") {
			s.alias = ""
		} else if !e.open(alias, at) {
			return s, false
		}
	}
	name = strings.ReplaceAll(strings.TrimSpace(name), `\`, "/")
	switch {
	case name == "":
		e.problems.Add(at, "the template has no path")
		return s, false
	case strings.Contains(name, "://"):
		e.problems.Add(at, "template %q is no path: a template is a file of this repository, or with PATH@ALIAS of one under resources.repositories", reference)
		return s, false
	case strings.HasPrefix(name, "/"):
		s.path = path.Clean(name[1:])
	case s.alias != from.alias:
		s.path = path.Clean(name)
	default:
		s.path = path.Join(path.Dir(from.path), name)
	}
	if s.path == ".." || strings.HasPrefix(s.path, "../") {
		e.problems.Add(at, "template path %q leads out of the repository%s", reference, e.bounds(s.alias))
		return s, false
	}
	return s, true
}

// repository is one that `resources.repositories` declares.
type repository struct {
	opened bool
	files  Files
	// left says that a draft goes on without it.
	left bool
}

// open makes the files of another repository readable.
func (e *expander) open(alias string, at slipway.Position) bool {
	r := e.repositories[strings.ToLower(alias)]
	if r == nil && e.template {
		r = &repository{} // the file that includes this one declares it
		e.repositories[strings.ToLower(alias)] = r
	}
	if r == nil {
		e.problems.Add(at, "no repository %q is declared under resources.repositories%s", alias, e.nearestRepository(alias))
		return false
	}
	if !r.opened {
		r.opened = true
		e.openFiles(r, alias, at)
	}
	if r.left {
		e.unread = append(e.unread, Unread{alias, at})
	}
	return r.files != nil
}

func (e *expander) openFiles(r *repository, alias string, at slipway.Position) {
	var err error
	if e.in.Repository != nil {
		r.files, err = e.in.Repository(alias, e.resources)
	}
	switch {
	case err != nil:
		e.problems.Append(at, err)
	case r.files != nil:
	case e.in.Draft:
		r.left = true
	default:
		e.problems.Unsupported(at, "templates of other repositories (@%s) cannot be read here: on your machine name its folder with --repository %s=FOLDER, or put the file into this repository and leave @%s out", alias, alias, alias)
	}
}
