package tool

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/Masterminds/semver/v3"
)

// Candidate is a version that is there.
type Candidate struct {
	Version *semver.Version
	// Folder is the tool's own, "" where only the program is known.
	Folder  string
	Program string
	// Origin says where it was found.
	Origin Origin
}

// Origin is where a version of a tool was found.
type Origin string

// The places, in the order in which they are searched.
const (
	FromImage  Origin = "the image's tool cache"
	FromShared Origin = "the job's tool folder"
	FromPath   Origin = "PATH"
)

// there lists the versions that are there, in the order of the places.
func (i *Installer) there(ctx context.Context, t *Tool) []Candidate {
	var list []Candidate
	for _, root := range i.Image {
		list = append(list, cached(t, root, FromImage)...)
	}
	if t.places != nil && !i.Elsewhere {
		for _, folder := range t.places(i) {
			list = append(list, i.placed(ctx, t, folder)...)
		}
	}
	list = append(list, cached(t, i.Shared, FromShared)...)
	if i.Job != i.Shared {
		list = append(list, cached(t, i.Job, FromShared)...)
	}
	for _, name := range t.programs {
		if program, err := i.Look(name); err == nil {
			found, _ := i.versionsOf(ctx, t, program, "", FromPath) // one that does not run is not there
			list = append(list, found...)
		}
	}
	return list
}

// cached lists what a tool cache holds.
func cached(t *Tool, root string, origin Origin) []Candidate {
	var list []Candidate
	for _, name := range t.caches {
		versions, err := os.ReadDir(filepath.Join(root, name))
		if err != nil {
			continue
		}
		for _, entry := range versions {
			folder := filepath.Join(root, name, entry.Name(), arch())
			v, err := t.parse(entry.Name())
			if _, complete := os.Stat(folder + ".complete"); err != nil || complete != nil {
				continue
			}
			if !isProgram(filepath.Join(folder, t.program)) { // Azure's HelmInstaller keeps the archive's folder
				folder = filepath.Join(folder, "linux-"+runtime.GOARCH)
			}
			if program := filepath.Join(folder, t.program); isProgram(program) {
				list = append(list, Candidate{Version: v, Folder: folder, Program: program, Origin: origin})
			}
		}
	}
	return list
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

func (i *Installer) placed(ctx context.Context, t *Tool, folder string) []Candidate {
	program := filepath.Join(folder, t.program)
	if !isProgram(program) {
		return nil
	}
	found, _ := i.versionsOf(ctx, t, program, folder, FromImage) // one that does not run is not there
	return found
}

// versionsOf asks a program for its versions.
func (i *Installer) versionsOf(ctx context.Context, t *Tool, program, folder string, origin Origin) ([]Candidate, error) {
	var failed error
	for _, args := range t.versions {
		text, err := i.Output(ctx, t.env, program, args...)
		// A process that is just being started holds all open files for a moment, those of another job's download among them.
		for try := 1; errors.Is(err, syscall.ETXTBSY) && try <= 10; try++ {
			time.Sleep(time.Duration(try) * 10 * time.Millisecond)
			text, err = i.Output(ctx, t.env, program, args...)
		}
		if err != nil {
			failed = err
			continue
		}
		var list []Candidate
		for _, m := range t.pattern.FindAllStringSubmatch(text, -1) {
			if v, err := t.parse(m[1]); err == nil {
				list = append(list, Candidate{Version: v, Folder: folder, Program: program, Origin: origin})
			}
		}
		return list, nil
	}
	return nil, failed
}

// javaPlaces are where JAVA_HOME variables point to, as hosted images have them, and where distributions put JDKs.
func javaPlaces(i *Installer) []string {
	var list []string
	for _, pair := range os.Environ() {
		if name, value, _ := strings.Cut(pair, "="); name == "JAVA_HOME" || strings.HasPrefix(name, "JAVA_HOME_") {
			list = append(list, value)
		}
	}
	if home := i.getenv("JAVA_HOME"); home != "" {
		list = append(list, home)
	}
	for _, pattern := range []string{"/usr/lib/jvm/*", "/opt/java/*", "/usr/java/*"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			continue
		}
		list = append(list, found...)
	}
	for n, folder := range list {
		if real, err := filepath.EvalSymlinks(folder); err == nil {
			list[n] = real
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}
