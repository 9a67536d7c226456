// Command importcorpus imports a collection of files of GitHub Actions and GitLab CI, and says how many are read, how many of the
// pipelines made of them are valid, and how many of their steps are carried over.
//
//	go run ./test/importcorpus github|gitlab FOLDER
//
// FOLDER holds a folder for each repository. With -v it prints every failure, and with -notes how often each note is made.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"slipway/internal/pipelines/compile"
	"slipway/internal/pipelines/importer"
	"slipway/internal/pipelines/plan"
)

func main() {
	verbose := flag.Bool("v", false, "print every failure")
	notes := flag.Bool("notes", false, "count the notes")
	flag.Parse()
	if flag.NArg() != 2 {
		fmt.Fprintln(os.Stderr, "usage: importcorpus [-v] [-notes] github|gitlab FOLDER")
		os.Exit(2)
	}
	c := count{source: importer.Source(flag.Arg(0)), verbose: *verbose, notes: map[string]int{}}
	repositories, err := os.ReadDir(flag.Arg(1))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, r := range repositories {
		c.repository(filepath.Join(flag.Arg(1), r.Name()))
	}
	fmt.Printf("%d files, %d read, %d valid, %d of %d steps carried over (%.1f %%)\n", c.files, c.read, c.valid, c.carried, c.steps, 100*float64(c.carried)/float64(max(c.steps, 1)))
	if *notes {
		list := slices.SortedFunc(maps.Keys(c.notes), func(a, b string) int { return cmp.Compare(c.notes[b], c.notes[a]) })
		for _, n := range list[:min(len(list), 60)] {
			fmt.Printf("%5d %s\n", c.notes[n], n)
		}
	}
	if c.read < c.files || c.valid < c.read {
		os.Exit(1)
	}
}

type count struct {
	source                             importer.Source
	verbose                            bool
	files, read, valid, steps, carried int
	notes                              map[string]int
}

// folder reads the files of one repository.
type folder struct{ root *os.Root }

func (f folder) ReadFile(path string) ([]byte, error) {
	return fs.ReadFile(f.root.FS(), path)
}

func (c *count) repository(top string) {
	root, err := os.OpenRoot(top)
	if err != nil {
		return
	}
	defer root.Close()
	_ = fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // what cannot be read is not counted
		}
		github := strings.HasPrefix(path, ".github/workflows/") && (strings.HasSuffix(path, ".yml") || strings.HasSuffix(path, ".yaml"))
		if c.source == importer.GitHub && github || c.source == importer.GitLab && strings.HasSuffix(path, ".gitlab-ci.yml") {
			c.file(folder{root}, top, path)
		}
		return nil
	})
}

var numbers = regexp.MustCompile(`@[^ :]+|"[^"]*"`)

func (c *count) file(files folder, top, path string) {
	data, err := files.ReadFile(path)
	if err != nil {
		return
	}
	c.files++
	out, err := importer.Import(c.source, path, data, files)
	if err != nil {
		c.say("%s/%s: not read: %v", top, path, err)
		return
	}
	c.read++
	c.steps += out.Steps
	c.carried += out.Carried
	for _, n := range out.Notes {
		message, _, _ := strings.Cut(n.Message, " (")
		c.notes[numbers.ReplaceAllString(message, "")]++
	}
	in := compile.Input{Path: "azure-pipelines.yml", Files: one(out.Pipeline), Repository: func(plan.Repository) (compile.Files, error) { return nil, nil }}
	if report := compile.Check(in); len(report.Problems) > 0 {
		c.say("%s/%s: not valid: %v", top, path, report.Problems[0])
		return
	}
	c.valid++
}

func (c *count) say(format string, args ...any) {
	if c.verbose {
		fmt.Printf(format+"\n", args...)
	}
}

// one is a repository with the pipeline alone.
type one []byte

func (o one) ReadFile(path string) ([]byte, error) {
	if path != "azure-pipelines.yml" {
		return nil, fs.ErrNotExist
	}
	return o, nil
}
