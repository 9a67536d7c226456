package template

import (
	"path"
	"strings"

	"slipway/internal/pipelines/nearest"
	"slipway/internal/pipelines/yaml"
)

// meant says which file somebody most likely meant who named one that is not there, "" if none is known.
func (e *expander) meant(s, from source, reference *yaml.Node) string {
	if from == s {
		return ""
	}
	if written, ok := e.byLabel[reference.At.File]; ok && written != from {
		if place := e.besideWritten(reference.Text, written); place != "" {
			return ": the templates of a parameter begin in the folder of the file that includes them, " + from.label() + ", write " + quote(place)
		}
	}
	files := e.filesOf(s)
	there := func(file string) bool {
		_, err := files.ReadFile(file)
		return err == nil
	}
	if written := strings.TrimPrefix(s.path, folderOf(from)); from.alias == s.alias && written != s.path && there(written) {
		return ": a path begins in the folder of the file that includes it, write " + quote("/"+written) + " to begin at the root of the repository"
	}
	for _, other := range []string{otherExtension(s.path), s.path + ".yml", s.path + ".yaml"} {
		if other != "" && there(other) {
			return ", did you mean " + quote(as(other, s, from)) + "?"
		}
	}
	if l, ok := files.(Lister); ok {
		if other := alike(l, s.path); other != "" && there(other) {
			return ", did you mean " + quote(as(other, s, from)) + "?"
		}
	}
	return ""
}

// besideWritten names from the root a file that is there only if its path begins beside the file that it is written in, "" for others.
func (e *expander) besideWritten(reference string, written source) string {
	file := path.Join(path.Dir(written.path), reference)
	if strings.HasPrefix(reference, "/") || strings.HasPrefix(file, "../") {
		return ""
	}
	if _, err := e.filesOf(written).ReadFile(file); err != nil {
		return ""
	}
	if written.alias == "" {
		return "/" + file + "@self"
	}
	return "/" + file + "@" + written.alias
}

func quote(text string) string { return `"` + text + `"` }

// folderOf is the folder of a file with its slash, "" at the root.
func folderOf(s source) string {
	if dir := path.Dir(s.path); dir != "." {
		return dir + "/"
	}
	return ""
}

// otherExtension is the path with .yaml in place of .yml or the other way round, "" for others.
func otherExtension(file string) string {
	if name, ok := strings.CutSuffix(file, ".yml"); ok {
		return name + ".yaml"
	}
	if name, ok := strings.CutSuffix(file, ".yaml"); ok {
		return name + ".yml"
	}
	return ""
}

// as is how a file is named where s was named: from the folder of the including file, or else from the root.
func as(file string, s, from source) string {
	switch {
	case s.alias != from.alias && s.alias != "":
		return file + "@" + s.alias
	case s.alias != from.alias:
		return file + "@self"
	}
	if below, ok := strings.CutPrefix(file, folderOf(from)); ok {
		return below
	}
	return "/" + file
}

// alike is the file that is nearest to a path, folder by folder, "" without one.
func alike(l Lister, file string) string {
	found := ""
	for part := range strings.SplitSeq(file, "/") {
		best := ""
		names := l.List(found)
		for _, name := range names {
			if name == part || best == "" && strings.EqualFold(name, part) {
				best = name
			}
		}
		if best == "" {
			best = nearest.Find(part, names)
		}
		if best == "" {
			return ""
		}
		found = path.Join(found, best)
	}
	return found
}
