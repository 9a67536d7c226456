package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"slipway"
	"slipway/internal/images"

	"github.com/distribution/reference"
)

// recipe is everything that makes an image again. As there is no engine that would keep the
// image, `docker push` builds it a second time, which takes its steps from the builder's cache.
// Secrets are kept by the place they come from and not by value.
type recipe struct {
	Context        string            `json:"context"`
	Dockerfile     string            `json:"dockerfile,omitempty"`
	DockerfileText string            `json:"dockerfileText,omitempty"`
	Target         string            `json:"target,omitempty"`
	Args           map[string]string `json:"args,omitempty"`
	Labels         map[string]string `json:"labels,omitempty"`
	Secrets        []string          `json:"secrets,omitempty"`
	Platforms      []string          `json:"platforms,omitempty"`
	CacheFrom      []string          `json:"cacheFrom,omitempty"`
	CacheTo        []string          `json:"cacheTo,omitempty"`
	Tags           []string          `json:"tags"`
	Digest         slipway.Digest    `json:"digest"`
	Built          time.Time         `json:"built"`
}

// solveOptions are what differs between the builds of one recipe.
type solveOptions struct {
	tags                []string
	push, noCache, pull bool
	progress            func(images.Event)
}

func (p program) solve(ctx context.Context, r recipe, s solveOptions) (images.Result, error) {
	dial, err := p.builder()
	if err != nil {
		return images.Result{}, err
	}
	secrets, err := p.readSecrets(r.Secrets)
	if err != nil {
		return images.Result{}, err
	}
	o := images.Options{
		ContextDir: r.Context, Dockerfile: r.Dockerfile, Target: r.Target, BuildArgs: r.Args, Labels: r.Labels, Secrets: secrets,
		Platforms: r.Platforms, Tags: s.tags, Push: s.push, NoCache: s.noCache, Pull: s.pull, Auth: p.credentials,
	}
	if o.CacheFrom, err = parseCaches(r.CacheFrom); err != nil {
		return images.Result{}, err
	}
	if o.CacheTo, err = parseCaches(r.CacheTo); err != nil {
		return images.Result{}, err
	}
	if r.DockerfileText != "" {
		dir, err := os.MkdirTemp("", "dockerfile-")
		if err != nil {
			return images.Result{}, fmt.Errorf("keep the Dockerfile: %w", err)
		}
		defer os.RemoveAll(dir)
		o.Dockerfile = filepath.Join(dir, "Dockerfile")
		if err := os.WriteFile(o.Dockerfile, []byte(r.DockerfileText), 0o600); err != nil {
			return images.Result{}, fmt.Errorf("keep the Dockerfile: %w", err)
		}
	}
	return images.Build(ctx, dial, o, s.progress)
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

// readSecrets reads docker's `--secret id=ID[,src=FILE|,env=NAME]`; without a source the
// environment's variable ID is meant.
func (p program) readSecrets(texts []string) (map[string][]byte, error) {
	out := map[string][]byte{}
	for _, text := range texts {
		fields, err := csv.NewReader(strings.NewReader(text)).Read()
		if err != nil {
			return nil, slipway.Invalid("--secret %q: %v", text, err)
		}
		s := map[string]string{}
		for _, f := range fields {
			key, value, ok := strings.Cut(f, "=")
			if !ok {
				return nil, slipway.Invalid("--secret %q: %q is not KEY=VALUE", text, f)
			}
			s[key] = value
		}
		id, file, variable := s["id"], s["src"]+s["source"], s["env"]
		if id == "" {
			return nil, slipway.Invalid("--secret %q has no id", text)
		}
		if file == "" && variable == "" {
			variable = id
		}
		if file == "" {
			out[id] = []byte(p.getenv(variable))
			continue
		}
		if out[id], err = os.ReadFile(file); err != nil {
			return nil, slipway.Invalid("--secret %s: the file %s cannot be read", id, file).Because(err)
		}
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
	b, err := os.ReadFile(filepath.Join(p.configDir(), "slipway-images.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the list of built images: %w", err)
	}
	var all []recipe
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, fmt.Errorf("read the list of built images: %w", err)
	}
	return all, nil
}

// changeRecipes rewrites the list under a lock, since a job may build several images at once.
// The file is its owner's alone: build arguments are often not public.
func (p program) changeRecipes(change func([]recipe) []recipe) error {
	dir := p.configDir()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make docker's folder: %w", err)
	}
	unlock, err := lockFile(filepath.Join(dir, "slipway-images.lock"))
	if err != nil {
		return err
	}
	defer unlock()
	all, err := p.recipes()
	if err != nil {
		return err
	}
	return writeJSON(filepath.Join(dir, "slipway-images.json"), change(all))
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
