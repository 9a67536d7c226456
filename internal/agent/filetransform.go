package agent

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"slipway/internal/agent/substitute"
)

// predefined are the beginnings of names of variables that FileTransform leaves alone.
var predefined = []string{"agent.", "azure_http_user_agent", "build.", "common.", "release.", "system.", "tf_"}

// transforming is the task FileTransform at work on a folder.
type transforming struct {
	*task
	folder    string
	variables map[string]string
	count     int // values replaced
}

// fileTransform1 is the task FileTransform@1, which changes files of one format.
func (t *task) fileTransform1(in inputs) error {
	if in.flag("enableXmlTransform", false) {
		return errors.New("XDT transformations run on Windows alone: set enableXmlTransform to false and change the file in a script step")
	}
	list := newPatterns(in.m["targetfiles"])
	switch strings.ToLower(in.text("fileType")) {
	case "json":
		if len(list) == 0 {
			list = patterns{"**/*.json"}
		}
		return t.transform(in, func(f *transforming) error { return f.json(list) })
	case "xml":
		if len(list) == 0 {
			list = patterns{"**/*.config"}
		}
		return t.transform(in, func(f *transforming) error { return f.xml(list) })
	}
	t.log.Printf("The input fileType is not set, so nothing is changed.")
	return nil
}

// fileTransform2 is the task FileTransform@2. That no variable fits the JSON files is an error in the log, and fails the step if
// errorOnInvalidSubstitution says so; of XML files it says nothing (enhancedFileTransformations in fileTransformationsUtility.ts of
// azure-pipelines-tasks-webdeployment-common).
func (t *task) fileTransform2(in inputs) error {
	jsons, xmls := newPatterns(in.m["jsontargetfiles"]), newPatterns(in.m["xmltargetfiles"])
	if len(jsons)+len(xmls) == 0 {
		return errors.New("no transformation is chosen: set jsonTargetFiles or xmlTargetFiles")
	}
	return t.transform(in, func(f *transforming) error {
		if len(xmls) > 0 {
			if err := f.xml(xmls); err != nil {
				return err
			}
		}
		before := f.count
		if err := f.json(jsons); err != nil || len(jsons) == 0 || f.count > before {
			return err
		}
		const message = "no variable fits the JSON files: names of variables are paths of keys with dots between, as Data.Connection.Name"
		if in.flag("errorOnInvalidSubstitution", false) {
			return errors.New(message)
		}
		t.tell(t.logIssue(command{properties: map[string]string{"type": "error"}, text: sentence(errors.New(message))}))
		return nil
	})
}

// transform works on the folder, or on what is in the zip file.
func (t *task) transform(in inputs, work func(*transforming) error) error {
	target, err := t.onePackage(in.text("folderPath"))
	if err != nil {
		return err
	}
	f := &transforming{task: t, folder: target, variables: map[string]string{}}
	for _, name := range t.vars.Names() {
		if !slices.ContainsFunc(predefined, func(p string) bool { return strings.HasPrefix(strings.ToLower(name), p) }) {
			f.variables[name] = t.vars.Expand(t.vars.Text(name))
		}
	}
	if info, err := os.Stat(target); err == nil && !info.IsDir() {
		return t.transformZip(f, target, work)
	}
	if err := work(f); err != nil {
		return err
	}
	t.log.Printf("Replaced %d values in %s", f.count, target)
	return nil
}

// onePackage is the folder or file that a path or pattern means.
func (t *task) onePackage(pattern string) (string, error) {
	if !strings.ContainsAny(pattern, "*?[") && !extended.MatchString(pattern) {
		path := t.absolute(pattern)
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("there is no folder or zip file %s", path)
		}
		return path, nil
	}
	found, err := findEverything(t.folders.sources, patterns{strings.ReplaceAll(pattern, `\`, "/")}.expanded())
	if err != nil {
		return "", fmt.Errorf("look for %s: %w", pattern, err)
	}
	if len(found) != 1 {
		return "", fmt.Errorf("%d files match %s: the input folderPath must mean one folder or zip file", len(found), pattern)
	}
	return found[0], nil
}

// transformZip unpacks a zip file, works on it, and packs it again if something changed.
func (t *task) transformZip(f *transforming, target string, work func(*transforming) error) error {
	folder, err := os.MkdirTemp(t.folders.temp, "transform-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer os.RemoveAll(folder)
	root, err := os.OpenRoot(folder)
	if err != nil {
		return fmt.Errorf("open a folder: %w", err)
	}
	defer root.Close()
	x := &extraction{task: t, root: root, folder: folder, overwrite: true, left: maxExtracted}
	if err := x.archive(target); err != nil {
		return fmt.Errorf("unpack %s: %w", target, err)
	}
	f.folder = folder
	if err := work(f); err != nil {
		return err
	}
	t.log.Printf("Replaced %d values in %s", f.count, target)
	if f.count == 0 {
		return nil
	}
	list, err := archiveList(folder, target, false, false)
	if err != nil {
		return err
	}
	if err := replaceFile(target, func(w io.Writer) error { return t.zip(w, "", list) }); err != nil {
		return fmt.Errorf("pack %s: %w", target, err)
	}
	return nil
}

func (f *transforming) json(list patterns) error {
	for _, pattern := range list {
		files, err := f.files(pattern)
		if err != nil {
			return err
		}
		if len(files) == 0 {
			return fmt.Errorf("no JSON file matches %s", pattern)
		}
		for _, file := range files {
			if err := f.change(file, substitute.JSON); err != nil {
				return err
			}
		}
	}
	return nil
}

// xml passes over files that are no XML, as Azure's task does, but says so.
func (f *transforming) xml(list patterns) error {
	for _, pattern := range list {
		files, err := f.files(pattern)
		if err != nil {
			return err
		}
		for _, file := range files {
			if err := f.change(file, substitute.XML); err != nil {
				f.log.Printf("##[warning]%s", sentence(err))
			}
		}
	}
	return nil
}

func (f *transforming) files(pattern string) ([]string, error) {
	files, err := findEverything(f.folder, patterns{strings.ReplaceAll(pattern, `\`, "/")}.expanded())
	if err != nil {
		return nil, fmt.Errorf("look for %s: %w", pattern, err)
	}
	return files, nil
}

func (f *transforming) change(file string, substitute func(string, map[string]string) (string, []string, error)) error {
	text, encoding, err := readText(file, "auto")
	if err != nil {
		return err
	}
	name, err := filepath.Rel(f.folder, file)
	if err != nil {
		name = file
	}
	if strings.TrimSpace(text) == "" {
		f.log.Printf("%s is empty", name)
		return nil
	}
	text, names, err := substitute(text, f.variables)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for _, replaced := range names {
		f.log.Printf("%s: replaced %s", name, replaced)
	}
	f.count += len(names)
	if len(names) == 0 {
		return nil
	}
	if encoding.name == "ascii" {
		encoding.name = "utf-8" // of which it is a part: the values may be more
	}
	return writeText(file, text, encoding, encoding.mark)
}
