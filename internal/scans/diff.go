package scans

import (
	"cmp"
	"slices"
	"strings"
)

// Change is a package that one image has and another has not, or has in another version or under another licence.
type Change struct {
	Type   string `json:"type"`
	Name   string `json:"name"`
	Before string `json:"before,omitempty"` // its versions; empty when it is new
	After  string `json:"after,omitempty"`  // empty when it is gone
	// Licences are those of all its versions.
	LicensesBefore []string `json:"licensesBefore,omitempty"`
	LicensesAfter  []string `json:"licensesAfter,omitempty"`
}

// Kind says what happened to it: added, removed, changed, or relicensed when only its licences are others.
func (c Change) Kind() string {
	switch {
	case c.Before == "":
		return "added"
	case c.After == "":
		return "removed"
	case c.Before == c.After:
		return "relicensed"
	}
	return "changed"
}

type packageName struct{ kind, name string }

// versions are those of one package in an image, sorted, each once.
type versions struct{ versions, licenses []string }

func collect(list []Package) map[packageName]versions {
	m := map[packageName]versions{}
	for _, p := range list {
		k := packageName{p.Type, p.Name}
		v := m[k]
		m[k] = versions{append(v.versions, p.Version), append(v.licenses, p.Licenses...)}
	}
	for k, v := range m {
		slices.Sort(v.versions)
		slices.Sort(v.licenses)
		m[k] = versions{slices.Compact(v.versions), slices.Compact(v.licenses)}
	}
	return m
}

// Diff lists what changed between the packages of two images, by type and name.
func Diff(before, after []Package) []Change {
	old, fresh := collect(before), collect(after)
	changes := []Change{}
	add := func(k packageName) {
		b, a := old[k], fresh[k]
		if !slices.Equal(b.versions, a.versions) || !slices.Equal(b.licenses, a.licenses) {
			changes = append(changes, Change{k.kind, k.name, strings.Join(b.versions, ", "), strings.Join(a.versions, ", "), b.licenses, a.licenses})
		}
	}
	for k := range old {
		add(k)
	}
	for k := range fresh {
		if _, was := old[k]; !was {
			add(k)
		}
	}
	slices.SortFunc(changes, func(a, b Change) int { return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name)) })
	return changes
}

// DiffFindings are the vulnerabilities of a package that only the one, and only the other of two images has, in the order of their lists. The same one in another version of the package is in both.
func DiffFindings(before, after []Finding) (gone, fresh []Finding) {
	type key struct{ id, name string }
	only := func(list, other []Finding) (out []Finding) {
		in, seen := map[key]bool{}, map[key]bool{}
		for _, f := range other {
			in[key{f.ID, f.Package}] = true
		}
		for _, f := range list {
			if k := (key{f.ID, f.Package}); !in[k] && !seen[k] {
				seen[k] = true
				out = append(out, f)
			}
		}
		return out
	}
	return only(before, after), only(after, before)
}
