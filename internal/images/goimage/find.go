package goimage

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"slipway"
)

// ImportPath is the whole import path of the program.
func ImportPath(ctx context.Context, o Options) (string, error) {
	s, err := readSettings(o.Dir, o.Settings)
	if err != nil {
		return "", err
	}
	o, err = o.find(ctx, s)
	return o.importPath, err
}

// find has go look the package up: in the module, or in those whose folders the settings name.
func (o Options) find(ctx context.Context, s settings) (Options, error) {
	argument, local := o.Package, filepath.IsAbs(o.Package) || strings.HasPrefix(o.Package, ".")
	if fi, err := os.Stat(filepath.Join(o.Dir, o.Package)); !local && err == nil && fi.IsDir() {
		argument, local = "./"+o.Package, true
	}
	if local {
		dir := argument
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(o.Dir, dir)
		}
		if fi, err := os.Stat(dir); err != nil || !fi.IsDir() {
			return o, slipway.NotFound("there is no folder of a Go program at %s: write one of the module, as ./cmd/app", dir)
		}
	}
	folders := []string{o.Dir}
	for _, b := range s.Builds {
		if dir := filepath.Join(o.Dir, b.Dir); !local && dir != o.Dir {
			folders = append(folders, dir) // a module of its own
		}
	}
	var first error
	for _, dir := range folders {
		found, err := list(ctx, dir, argument)
		if err == nil {
			o.dir, o.importPath, o.root = found[1], found[0], dir
			return o, nil
		}
		if first == nil {
			first = err
		}
	}
	return o, first
}

// list gives the import path of a program's package and its folder.
func list(ctx context.Context, dir, argument string) ([2]string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-find", "-f", "{{.Name}}\n{{.ImportPath}}\n{{.Dir}}", argument)
	cmd.Dir = dir
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	fields := strings.Split(strings.TrimSpace(string(out)), "\n")
	switch {
	case err != nil && complaint.Len() == 0:
		return [2]string{}, slipway.Unavailable("the program go is needed to build %s: use an image that has it, or the task GoTool", argument).Because(err)
	case err != nil || len(fields) != 3:
		return [2]string{}, slipway.Invalid("go does not find one package %s: %s", argument, strings.TrimSpace(complaint.String()))
	case fields[0] != "main":
		return [2]string{}, slipway.Invalid("%s is no program: name a package main", argument)
	}
	return [2]string{fields[1], fields[2]}, nil
}
