package task

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"slipway/internal/pipelines/nearest"
)

// Catalog are the tasks that were uploaded, one of each major version, which files may use besides those built in. It is
// not changed while it is used; nil has the built-in ones alone.
type Catalog []*Definition

// wholeVersion is a version of a task of which only the major one counts: 1.206.0.
var wholeVersion = regexp.MustCompile(`^\d+\.\d+(\.\d+)?$`)

// Find is the definition that a reference means: NAME@MAJOR, PUBLISHER.EXTENSION.CONTRIBUTION.NAME@MAJOR or the task's
// id. Names ignore case, and of a whole version (FileTransform@1.206.0) only the major one counts. Of a plain name the built-in task comes first. The error says what is wrong with the reference and
// what to write instead.
func (c Catalog) Find(reference string) (*Definition, error) {
	name, version, ok := strings.Cut(reference, "@")
	if !ok || name == "" {
		return nil, fmt.Errorf("task %q has no version: write NAME@MAJOR, as %s", reference, c.newest(name))
	}
	if wholeVersion.MatchString(version) {
		version, _, _ = strings.Cut(version, ".")
	}
	major, err := strconv.Atoi(version)
	if err != nil {
		return nil, fmt.Errorf("task %q: %q is no major version, a whole number, as in %s", reference, version, c.newest(name))
	}
	builtIn, versions := builtIn(name, major)
	if builtIn != nil && !strings.Contains(name, ".") {
		return builtIn, nil
	}
	uploaded, more, err := c.uploaded(name, major)
	switch {
	case err != nil:
		return nil, err
	case uploaded != nil:
		return uploaded, nil
	case builtIn != nil:
		return builtIn, nil
	}
	if versions = append(versions, more...); len(versions) > 0 {
		return nil, fmt.Errorf("task %s@%d is not there: use %s", name, major, strings.Join(versions, " or "))
	}
	return nil, c.unknown(name, major)
}

// builtIn finds a built-in task, or its other versions.
func builtIn(name string, major int) (found *Definition, versions []string) {
	builtIn := definitions()
	for i := range builtIn {
		d := &builtIn[i]
		if !d.named(name) {
			continue
		}
		if d.Major == major {
			return d, nil
		}
		versions = append(versions, d.String())
	}
	return nil, versions
}

// newest is the reference of the newest version of a task, or one that shows how references look.
func (c Catalog) newest(name string) string {
	reference, major := "Docker@2", -1
	for _, d := range c.Definitions() {
		if d.named(name) && d.Major > major {
			reference, major = d.String(), d.Major
		}
	}
	return reference
}

// uploaded finds an uploaded task, or its other versions. A plain name that several tasks have must be written in full.
func (c Catalog) uploaded(name string, major int) (found *Definition, versions []string, err error) {
	var several []string
	for _, d := range c {
		if !d.named(name) && !strings.EqualFold(d.Package.ID, name) {
			continue
		}
		if d.Major != major {
			versions = append(versions, d.String())
			continue
		}
		found = d
		several = append(several, d.qualified())
	}
	if len(several) > 1 {
		return nil, nil, fmt.Errorf("there are several tasks %s@%d: write %s", name, major, strings.Join(several, " or "))
	}
	return found, versions, nil
}

// named reports whether a task is called so, in full or by its name alone.
func (d *Definition) named(name string) bool {
	return strings.EqualFold(d.Name, name) || d.Extension != "" && strings.EqualFold(d.Extension+"."+d.Name, name)
}

// qualified is the reference that means no other task.
func (d *Definition) qualified() string {
	if d.Extension == "" {
		return fmt.Sprintf("%s@%d", d.Package.ID, d.Major)
	}
	return d.Extension + "." + d.String()
}

func (c Catalog) unknown(name string, major int) error {
	if a, ok := Absent(name); ok {
		return fmt.Errorf("task %s@%d is not there yet: %s", name, major, a.Instead)
	}
	var names []string
	for _, d := range c.Definitions() {
		if !slices.Contains(names, d.Name) {
			names = append(names, d.Name)
		}
	}
	if s := nearest.Suggest(name, names); s != "" {
		return fmt.Errorf("unknown task %s@%d%s", name, major, s)
	}
	if strings.Contains(name, ".") {
		return fmt.Errorf("task %s@%d is an extension's, which is not there: upload the extension (slipway tasks upload), name its file with --task on your machine, or %s", name, major, useScript)
	}
	return fmt.Errorf("unknown task %s@%d: upload it if it is one of your own (slipway tasks upload), name its folder with --task on your machine, or %s", name, major, useScript)
}

// Definitions are the tasks, those built in first.
func (c Catalog) Definitions() []*Definition {
	builtIn := definitions()
	list := make([]*Definition, 0, len(builtIn)+len(c))
	for i := range builtIn {
		list = append(list, &builtIn[i])
	}
	return append(list, c...)
}

// All are the references of the tasks, as NAME@MAJOR.
func (c Catalog) All() []string {
	var list []string
	for _, d := range c.Definitions() {
		if !slices.Contains(list, d.String()) {
			list = append(list, d.String())
		}
	}
	return list
}

// References are those that mean the task, the shortest first.
func (c Catalog) References(d *Definition) []string {
	all := []string{d.String()}
	if d.Extension != "" {
		all = append(all, d.Extension+"."+d.String())
	}
	if d.Package != nil {
		all = append(all, fmt.Sprintf("%s@%d", d.Package.ID, d.Major))
	}
	return slices.DeleteFunc(all, func(reference string) bool {
		found, err := c.Find(reference)
		return err != nil || found != d
	})
}

// Qualified are the tasks of extensions, as PUBLISHER.EXTENSION.CONTRIBUTION.NAME@MAJOR, and the ids of uploaded ones.
func (c Catalog) Qualified() []string {
	var list []string
	for _, d := range c.Definitions() {
		if d.Extension != "" {
			list = append(list, d.Extension+"."+d.String())
		}
		if d.Package != nil {
			list = append(list, fmt.Sprintf("%s@%d", d.Package.ID, d.Major))
		}
	}
	return list
}
