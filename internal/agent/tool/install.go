package tool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Installer finds and installs tools for a job.
type Installer struct {
	Logf func(format string, args ...any)
	// Image are the tool caches of the job's image.
	Image []string
	// Shared is the folder of tools that outlives the job, and Job the job's own. They may be the same.
	Shared, Job string
	// Look finds a program on PATH, after those that were there before the step.
	Look func(program string) (string, error)
	// Output runs a program and gives what it wrote.
	Output func(ctx context.Context, env map[string]string, program string, args ...string) (string, error)
	// Mirror is the URL of a tool's mirror, "" for none, by the tool's name.
	Mirror func(name string) string
	// Getenv reads a variable of the step's environment.
	Getenv func(name string) string
	// Elsewhere says that the step runs in another container, of whose files Look, Output and IsFile alone know.
	Elsewhere bool
	IsFile    func(path string) bool // nil for files here
	// Tries bounds how often a download is tried, 0 for three times, with a pause between, 0 for a second.
	Tries int
	Pause time.Duration
	// Client downloads; nil for one of the package's own.
	Client *http.Client
}

// Options say more about what a step asks for.
type Options struct {
	// Newest has the newest version that fits looked up, though another one is there.
	Newest bool
	// Offline allows no download.
	Offline bool
	// Base is where the tool is downloaded from, before any mirror.
	Base string
}

// keepTemporary is how long a temporary folder may be there: older ones are from jobs that were killed.
const keepTemporary = 24 * time.Hour

// musl reports that programs of the step's container use the C library of Alpine Linux.
func (i *Installer) musl() bool {
	const mark = "/etc/alpine-release"
	if i.IsFile != nil {
		return i.IsFile(mark)
	}
	return isProgram(mark)
}

func (i *Installer) client() *http.Client {
	if i.Client == nil {
		i.Client = newClient()
	}
	return i.Client
}

func (i *Installer) mirror(name string) string {
	if i.Mirror == nil {
		return ""
	}
	return strings.TrimRight(i.Mirror(name), "/")
}

func (i *Installer) getenv(name string) string {
	if i.Getenv == nil {
		return ""
	}
	return i.Getenv(name)
}

// base is where a tool is downloaded from.
func (i *Installer) base(t *Tool, o Options) string {
	if base := strings.TrimRight(strings.TrimSpace(o.Base), "/"); base != "" && base != t.vendor {
		return base
	}
	if mirror := i.mirror(t.Name); mirror != "" {
		return mirror
	}
	return t.vendor
}

// Use finds the version of a tool that is wanted, and installs it if need be.
func (i *Installer) Use(ctx context.Context, t *Tool, want Spec, o Options) (Candidate, error) {
	there := i.there(ctx, t)
	ask := (want.newest || want.lts != "" || o.Newest) && want.exact == nil && !o.Offline
	if !ask {
		if c, ok := best(there, want); ok {
			return i.take(ctx, t, c)
		}
	}
	if o.Offline {
		return Candidate{}, missing(t, want, there, errors.New("the task allows no download"))
	}
	r, err := t.find(ctx, i, i.base(t, o), want)
	if err != nil {
		// What is there is better than nothing when nobody can say what is newest.
		if c, ok := highest(there, want); ok && ask && ctx.Err() == nil {
			i.Logf("##[warning]Which %s is the newest is not known: %v. Version %s of %s is used.", t.Title, err, c.Version, c.Origin)
			return i.take(ctx, t, c)
		}
		return Candidate{}, missing(t, want, there, err)
	}
	if c, ok := best(there, only(want.text, r.version)); ok {
		return i.take(ctx, t, c)
	}
	c, err := i.install(ctx, t, r)
	if err != nil {
		return Candidate{}, missing(t, want, there, err)
	}
	return i.take(ctx, t, c)
}

// Find finds a version that is there already; it downloads nothing.
func (i *Installer) Find(ctx context.Context, t *Tool, want Spec) (Candidate, error) {
	there := i.there(ctx, t)
	if c, ok := best(there, want); ok {
		return i.take(ctx, t, c)
	}
	return Candidate{}, missing(t, want, there, nil)
}

// take gives the job what it may change as a copy of its own.
func (i *Installer) take(ctx context.Context, t *Tool, c Candidate) (Candidate, error) {
	i.Logf("%s %s of %s is used.", t.Title, c.Version, c.Origin)
	if !t.private || c.Origin != FromShared || i.Shared == i.Job {
		return c, nil
	}
	own := filepath.Join(i.Job, t.caches[0], c.Version.String(), arch())
	if _, err := os.Stat(own + ".complete"); err != nil {
		if err := CopyTree(ctx, c.Folder, own); err != nil {
			return Candidate{}, fmt.Errorf("copy %s for the job: %w", t.Title, err)
		}
		if err := os.WriteFile(own+".complete", nil, 0o644); err != nil {
			return Candidate{}, fmt.Errorf("copy %s for the job: %w", t.Title, err)
		}
	}
	c.Folder, c.Program = own, filepath.Join(own, t.program)
	return c, nil
}

// best is the highest version that fits of the first place that has one.
func best(there []Candidate, want Spec) (Candidate, bool) {
	for _, origin := range []Origin{FromImage, FromShared, FromPath} {
		here := slices.DeleteFunc(slices.Clone(there), func(c Candidate) bool { return c.Origin != origin })
		if c, ok := highest(here, want); ok {
			return c, true
		}
	}
	return Candidate{}, false
}

// highest is the highest version that fits, wherever it is.
func highest(there []Candidate, want Spec) (Candidate, bool) {
	var found Candidate
	for _, c := range there {
		if want.matches(c.Version) && (found.Version == nil || c.Version.GreaterThan(found.Version)) {
			found = c
		}
	}
	return found, found.Version != nil
}

// missing says what was wanted, what is there, and what to do.
func missing(t *Tool, want Spec, there []Candidate, why error) error {
	if errors.Is(why, context.Canceled) || errors.Is(why, context.DeadlineExceeded) {
		return why
	}
	var found []string
	for _, origin := range []Origin{FromImage, FromShared, FromPath} {
		var versions []string
		for _, c := range there {
			if text := c.Version.String(); c.Origin == origin && !slices.Contains(versions, text) {
				versions = append(versions, text)
			}
		}
		if len(versions) == 0 {
			versions = []string{"nothing"}
		}
		found = append(found, fmt.Sprintf("%s has %s", origin, strings.Join(versions, ", ")))
	}
	text := fmt.Sprintf("%s %s is not there: %s", t.Title, want, strings.Join(found, ", "))
	if why == nil {
		return fmt.Errorf("%s; use a job image that has it", text)
	}
	advice := fmt.Sprintf("use a job image that has it, or name a mirror in the variable %s", MirrorVariable(t.Name))
	if t == Go {
		advice += ", or a proxy of modules in GOPROXY"
	}
	return fmt.Errorf("%s; %w; %s", text, why, advice)
}

// MirrorVariable is the name of the variable that holds the URL of a tool's mirror.
func MirrorVariable(name string) string { return "SLIPWAY_TOOL_MIRROR_" + strings.ToUpper(name) }

// install downloads a version, checks it, unpacks it under a temporary name, and gives it its own at last.
func (i *Installer) install(ctx context.Context, t *Tool, r release) (Candidate, error) {
	if err := os.MkdirAll(i.Shared, 0o755); err != nil {
		return Candidate{}, fmt.Errorf("make the folder of tools: %w", err)
	}
	i.sweep()
	temporary, err := os.MkdirTemp(i.Shared, ".install-")
	if err != nil {
		return Candidate{}, fmt.Errorf("make a folder for %s: %w", t.Title, err)
	}
	defer os.RemoveAll(temporary)
	folder := filepath.Join(temporary, "tool")
	if err := i.fill(ctx, t, r, temporary, folder); err != nil {
		return Candidate{}, err
	}
	found, err := i.versionsOf(ctx, t, filepath.Join(folder, t.program), folder, FromShared)
	if err != nil {
		return Candidate{}, fmt.Errorf("%s from %s does not run in this image, since it is made for Linux with glibc on %s: %w", t.Title, shown(r.url), arch(), err)
	}
	if !slices.ContainsFunc(found, func(c Candidate) bool { return c.Version.Compare(r.version) == 0 }) {
		return Candidate{}, fmt.Errorf("%s from %s does not say that it is version %s", t.Title, shown(r.url), r.version)
	}
	final := filepath.Join(i.Shared, t.caches[0], r.version.String(), arch())
	if err := os.MkdirAll(filepath.Dir(final), 0o755); err != nil {
		return Candidate{}, fmt.Errorf("install %s: %w", t.Title, err)
	}
	// Another job may have been faster: its folder is the same.
	if err := os.Rename(folder, final); err != nil && !errors.Is(err, fs.ErrExist) && !isFolder(final) {
		return Candidate{}, fmt.Errorf("install %s: %w", t.Title, err)
	}
	if err := os.WriteFile(final+".complete", nil, 0o644); err != nil {
		return Candidate{}, fmt.Errorf("install %s: %w", t.Title, err)
	}
	return Candidate{Version: r.version, Folder: final, Program: filepath.Join(final, t.program), Origin: FromShared}, nil
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// fill downloads a version into the temporary folder and unpacks it.
func (i *Installer) fill(ctx context.Context, t *Tool, r release, temporary, folder string) error {
	name := "archive.tar.gz"
	if strings.HasSuffix(r.url, ".zip") {
		name = "archive.zip"
	}
	archive := filepath.Join(temporary, name)
	file, err := os.Create(archive)
	if err != nil {
		return fmt.Errorf("download %s: %w", t.Title, err)
	}
	if err := errors.Join(i.download(ctx, r, file), file.Close()); err != nil {
		return err
	}
	if r.check != nil {
		if err := r.check(archive); err != nil {
			return err
		}
	}
	switch {
	case r.unpack != nil:
		err = r.unpack(ctx, archive, folder)
	case r.file != "":
		if err = os.Mkdir(folder, 0o755); err == nil {
			err = os.Rename(archive, filepath.Join(folder, r.file))
		}
		if err == nil {
			err = os.Chmod(filepath.Join(folder, r.file), 0o755) //nolint:gosec // a program is to be run
		}
	default:
		err = Unpack(ctx, archive, folder, r.strip)
	}
	return err
}

// sweep removes what jobs that were killed have left.
func (i *Installer) sweep() {
	left, err := filepath.Glob(filepath.Join(i.Shared, ".install-*"))
	if err != nil {
		return
	}
	for _, path := range left {
		if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > keepTemporary {
			_ = os.RemoveAll(path)
		}
	}
}
