package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"slipway"
	"slipway/internal/images"
	"slipway/internal/images/progress"

	"github.com/distribution/reference"
)

// recipe is everything that makes an image again. As there is no engine that would keep the
// image, `docker push` builds it a second time, which takes its steps from the builder's cache.
// Secrets are kept by the place they come from and not by value.
type recipe struct {
	Context        string               `json:"context"`                  // a folder, or a URL
	ContextArchive string               `json:"contextArchive,omitempty"` // a tar file, in place of Context
	Dockerfile     string               `json:"dockerfile,omitempty"`
	DockerfileText string               `json:"dockerfileText,omitempty"`
	Contexts       map[string]string    `json:"contexts,omitempty"`
	Target         string               `json:"target,omitempty"`
	Args           map[string]string    `json:"args,omitempty"`
	Labels         map[string]string    `json:"labels,omitempty"`
	Annotations    map[string]string    `json:"annotations,omitempty"`
	Secrets        []string             `json:"secrets,omitempty"`
	SSH            []string             `json:"ssh,omitempty"`
	Platforms      []string             `json:"platforms,omitempty"`
	CacheFrom      []string             `json:"cacheFrom,omitempty"`
	CacheTo        []string             `json:"cacheTo,omitempty"`
	NoCacheStages  []string             `json:"noCacheStages,omitempty"`
	Attestations   []images.Attestation `json:"attestations,omitempty"`
	Network        string               `json:"network,omitempty"`
	Hosts          []string             `json:"hosts,omitempty"`
	Ulimits        []string             `json:"ulimits,omitempty"`
	ShmSize        int64                `json:"shmSize,omitempty"`
	// Linked are the recipes of the targets of a bake file that Contexts name with target:NAME, by their names.
	Linked map[string]recipe `json:"linked,omitempty"`
	// Remote is the image in a registry that this stands for, as NAME@DIGEST, in place of all that is above.
	Remote string `json:"remote,omitempty"`
	// Archive is the file that `docker load` read it from, in place of all that is above.
	Archive string         `json:"archive,omitempty"`
	Tags    []string       `json:"tags"`
	Digest  slipway.Digest `json:"digest"`
	// ConfigDigest is what docker calls the image's id.
	ConfigDigest slipway.Digest `json:"configDigest,omitempty"`
	Built        time.Time      `json:"built"`
}

// solveOptions are what differs between the builds of one recipe.
type solveOptions struct {
	tags                []string
	push, noCache, pull bool
	cacheOnly           bool
	listed              bool // as a build of an image
	outputs             []images.Output
	progress            func(progress.Event)
	status              io.Writer
}

func (p program) solve(ctx context.Context, r recipe, s solveOptions) (images.Result, error) {
	o, err := p.options(r, s)
	if err != nil {
		return images.Result{}, err
	}
	dial, err := p.builder()
	if err != nil {
		return images.Result{}, err
	}
	if len(r.Linked) == 0 {
		return images.Build(ctx, dial, o, s.progress)
	}
	targets := []images.Target{{Name: "", Options: o}}
	for _, name := range slices.Sorted(maps.Keys(r.Linked)) {
		o, err := p.options(r.Linked[name], solveOptions{cacheOnly: true, listed: s.listed})
		if err != nil {
			return images.Result{}, err
		}
		targets = append(targets, images.Target{Name: name, Options: o})
	}
	results, err := images.BuildAll(ctx, dial, targets, s.progress)
	return results[""].Result, err
}

// options are what the builder is asked for.
func (p program) options(r recipe, s solveOptions) (images.Options, error) {
	secrets, err := images.ReadSecrets(r.Secrets, p.getenv)
	if err != nil {
		return images.Options{}, err
	}
	o := images.Options{
		ContextDir: r.Context, ContextArchive: r.ContextArchive, Dockerfile: r.Dockerfile, DockerfileText: r.DockerfileText, Contexts: r.Contexts, Target: r.Target,
		BuildArgs: r.Args, Labels: r.Labels, Annotations: r.Annotations, Secrets: secrets, Platforms: r.Platforms, Tags: s.tags, Push: s.push,
		Outputs: s.outputs, NoCache: s.noCache, NoCacheStages: r.NoCacheStages, Pull: s.pull, Attestations: r.Attestations, Network: r.Network,
		CacheOnly: s.cacheOnly, Unlisted: !s.listed, Hosts: r.Hosts, Ulimits: r.Ulimits, ShmSize: r.ShmSize, Auth: p.credentials, Status: s.status,
		Source: p.getenv("BUILD_REPOSITORY_URI"), Revision: p.getenv("BUILD_SOURCEVERSION"),
	}
	if isURL(r.Context) {
		o.ContextDir, o.ContextURL = "", r.Context
	}
	for _, text := range r.SSH {
		ssh, err := images.ParseSSH(text, p.getenv("SSH_AUTH_SOCK"))
		if err != nil {
			return images.Options{}, err
		}
		o.SSH = append(o.SSH, ssh)
	}
	if o.CacheFrom, err = parseCaches(r.CacheFrom); err != nil {
		return images.Options{}, err
	}
	if o.CacheTo, err = parseCaches(r.CacheTo); err != nil {
		return images.Options{}, err
	}
	return o, nil
}

// builder is the way to the builder that the environment names.
func (p program) builder() (images.Dial, error) {
	address := p.getenv("SLIPWAY_BUILDER_URL")
	if address == "" {
		return nil, slipway.Unavailable("no builder is named: SLIPWAY_BUILDER_URL is set in Slipway's jobs only")
	}
	header := http.Header{}
	if token := p.getenv("SLIPWAY_JOB_TOKEN"); token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	return images.NewDial(address, header)
}

func parseCaches(texts []string) ([]images.Cache, error) {
	var out []images.Cache
	for _, t := range texts {
		c, err := images.ParseCache(t)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// imageName checks a name and writes it out with its tag, without docker.io where that is meant.
func imageName(s string) (string, error) {
	named, err := reference.ParseNormalizedNamed(s)
	if err != nil {
		return "", slipway.Invalid("%q is not an image's name: %v", s, err)
	}
	if _, digested := named.(reference.Digested); digested {
		return "", slipway.Invalid("%q has a digest, which a build or push cannot choose: give a tag", s)
	}
	return reference.FamiliarString(reference.TagNameOnly(named)), nil
}

// maxRecipes bounds how many images one job's docker remembers, the oldest go first.
const maxRecipes = 200

// remember puts r in place of what its tags meant before.
func (p program) remember(r recipe) error {
	return p.changeRecipes(func(all []recipe) []recipe {
		for i := range all {
			all[i].Tags = slices.DeleteFunc(all[i].Tags, func(t string) bool { return slices.Contains(r.Tags, t) })
		}
		all = slices.DeleteFunc(all, func(old recipe) bool { return len(old.Tags) == 0 })
		if len(r.Tags) > 0 {
			all = append(all, r)
		}
		return all[max(0, len(all)-maxRecipes):]
	})
}

// recipe finds the image with a name.
func (p program) recipe(tag string) (recipe, error) {
	all, err := p.recipes()
	if err != nil {
		return recipe{}, err
	}
	for _, r := range all {
		if slices.Contains(r.Tags, tag) {
			return r, nil
		}
	}
	return recipe{}, slipway.NotFound("no image %s was built in this job: run `docker build -t %s` first", tag, tag)
}

func (p program) recipes() ([]recipe, error) {
	var all []recipe
	if err := readJSON(filepath.Join(p.configDir(), "slipway-images.json"), &all); err != nil {
		return nil, err
	}
	return all, nil
}

// readJSON reads a file that may not be there yet.
func readJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

// changeRecipes rewrites the list under a lock, since a job may build several images at once.
// The file is its owner's alone: build arguments are often not public.
func (p program) changeRecipes(change func([]recipe) []recipe) error {
	return p.locked(func(dir string) error {
		all, err := p.recipes()
		if err != nil {
			return err
		}
		return writeJSON(filepath.Join(dir, "slipway-images.json"), change(all))
	})
}

// locked runs f with docker's folder, alone.
func (p program) locked(f func(dir string) error) error {
	dir := p.configDir()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make docker's folder: %w", err)
	}
	unlock, err := lockFile(filepath.Join(dir, "slipway-images.lock"))
	if err != nil {
		return err
	}
	defer unlock()
	return f(dir)
}

func lockFile(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}

// writeJSON replaces a file in one step, readable by its owner alone.
func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.WriteFile(path+".new", append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(path+".new", path)
}
