package task

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"slipway"
)

// Package is what an uploaded task has besides the definition that built-in ones have.
type Package struct {
	ID      string         // the task's, a GUID
	Version string         // MAJOR.MINOR.PATCH
	Digest  slipway.Digest // of the zip file with its files
	Outputs []string       // variables that it sets as outputs
	// PreJob and PostJob say that it has parts which run before and after the steps of the job.
	PreJob, PostJob bool

	instanceName string
	refused      string
}

// Definition is what the manifest says, of a task whose files are the zip file of that digest. Extension is
// PUBLISHER.EXTENSION.CONTRIBUTION, or "" for a task that was uploaded by itself.
func (m *Manifest) Definition(extension string, digest slipway.Digest) *Definition {
	d := &Definition{Name: m.Name, Major: int(m.Version.Major), Extension: extension, Title: cmp.Or(strings.TrimSpace(m.FriendlyName), m.Name), Doc: firstLine(m.Description),
		Package: &Package{ID: m.ID, Version: m.VersionText(), Digest: digest, PreJob: len(m.PreJob) > 0, PostJob: len(m.PostJob) > 0,
			instanceName: strings.TrimSpace(m.InstanceNameFormat), refused: m.refused()}}
	groups := map[string]*rule{}
	for _, g := range m.Groups {
		groups[strings.ToLower(g.Name)], _ = parseRule(g.VisibleRule) // ReadManifest has checked it
	}
	for i := range m.Inputs {
		d.Inputs = append(d.Inputs, m.Inputs[i].input(groups))
	}
	for _, o := range m.Outputs {
		if o.Name != "" {
			d.Package.Outputs = append(d.Package.Outputs, o.Name)
		}
	}
	return d
}

func (in *manifestInput) input(groups map[string]*rule) Input {
	out := Input{Name: in.Name, Aliases: in.Aliases, Default: string(in.Default), Required: bool(in.Required), Doc: cmp.Or(firstLine(in.Help), in.Label)}
	own, _ := parseRule(in.VisibleRule)
	for _, r := range []*rule{own, groups[strings.ToLower(in.Group)]} {
		if r != nil {
			out.visible = append(out.visible, r)
		}
	}
	kind, detail, _ := strings.Cut(in.Type, ":")
	property := func(name string) bool {
		for key, value := range in.Properties {
			if strings.EqualFold(key, name) && strings.EqualFold(string(value), "true") {
				return true
			}
		}
		return false
	}
	out.Several = property("MultiSelect") || property("MultiSelectFlatList")
	switch strings.ToLower(kind) {
	case "boolean":
		out.Boolean, out.Default = true, strings.ToLower(out.Default)
	case "int":
		out.Integer = true
	case "picklist", "radio":
		if !property("EditableOptions") && !out.Several {
			out.Options = sortedKeys(in.Options)
		}
	case "connectedservice":
		out.Connection = []string{}
		if kind, _, _ := strings.Cut(detail, ":"); kind != "" {
			out.Connection = append(out.Connection, strings.ToLower(kind))
		}
	case "securefile":
		out.SecureFile = true
	}
	return out
}

// firstLine is the first sentence-like line of a text for people.
func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return strings.TrimSpace(line)
}

// Conditional reports an input that counts only with some values of others.
func (in *Input) Conditional() bool { return len(in.visible) > 0 }

// shows reports whether the input counts with these values of the others. One of which that is not known yet does not.
func (in *Input) shows(d *Definition, inputs map[string]string) bool {
	for _, r := range in.visible {
		holds, known := r.holds(func(name string) string {
			if other := d.Input(name); other != nil {
				return inputs[other.Name]
			}
			return ""
		})
		if !holds || !known {
			return false
		}
	}
	return true
}

// DisplayName is what a step with these inputs is called if the file does not say it.
func (d *Definition) DisplayName(inputs map[string]string) string {
	if d.Package == nil || d.Package.instanceName == "" {
		return d.Title
	}
	var b strings.Builder
	rest := d.Package.instanceName
	for {
		before, after, ok := strings.Cut(rest, "$(")
		b.WriteString(before)
		if !ok {
			break
		}
		name, tail, closed := strings.Cut(after, ")")
		if in := d.Input(name); closed && in != nil {
			b.WriteString(inputs[in.Name])
		} else if b.WriteString("$(" + name); closed {
			b.WriteString(")")
		}
		rest = tail
	}
	return cmp.Or(strings.TrimSpace(b.String()), d.Title)
}

// Refused says why an uploaded task cannot run here, "" if it can.
func (d *Definition) Refused() string {
	if d.Package == nil || d.Package.refused == "" {
		return ""
	}
	return fmt.Sprintf("task %s (%s) cannot run here: %s", d, d.Package.Version, d.Package.refused)
}

// Newest keeps of each task and major version the newest one, in order of names.
func Newest(list []*Definition) Catalog {
	var out Catalog
	for _, d := range list {
		i := slices.IndexFunc(out, func(o *Definition) bool { return o.Package.ID == d.Package.ID && o.Major == d.Major })
		switch {
		case i < 0:
			out = append(out, d)
		case compareVersions(d.Package.Version, out[i].Package.Version) >= 0:
			out[i] = d
		}
	}
	slices.SortStableFunc(out, func(a, b *Definition) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), cmp.Compare(a.Major, b.Major), strings.Compare(a.Package.ID, b.Package.ID))
	})
	return out
}

// compareVersions compares two texts of whole numbers parted by dots.
func compareVersions(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		x, _ := strconv.Atoi(as[i])
		y, _ := strconv.Atoi(bs[i])
		if c := cmp.Compare(x, y); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(as), len(bs))
}
