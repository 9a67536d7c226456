package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"slipway"
	"slipway/internal/images"
	"slipway/internal/images/bake"
)

// targetRecipe is a target as the flags of `docker build` would have it.
func (p program) targetRecipe(t *bake.Target, progress string) (recipe, buildFlags, error) {
	r := recipe{
		Tags: slices.Clone(t.Tags), Target: deref(t.Target), DockerfileText: deref(t.DockerfileInline), Secrets: t.Secrets, SSH: t.SSH, Platforms: t.Platforms,
		CacheFrom: t.CacheFrom, CacheTo: t.CacheTo, NoCacheStages: t.NoCacheFilter, Ulimits: t.Ulimits, Network: deref(t.Network),
	}
	f := buildFlags{noCache: t.NoCache != nil && *t.NoCache, pull: t.Pull != nil && *t.Pull, progress: progress}
	texts := buildTexts{annotations: t.Annotations, attest: t.Attest, shm: deref(t.ShmSize), args: assignments(t.Args), labels: assignments(t.Labels)}
	for _, output := range t.Outputs {
		if output == "type=cacheonly" {
			f.cacheOnly = true
			continue
		}
		texts.outputs = append(texts.outputs, output)
	}
	for _, host := range assignments(t.ExtraHosts) {
		name, addresses, _ := strings.Cut(host, "=")
		for address := range strings.SplitSeq(addresses, ",") {
			texts.hosts = append(texts.hosts, name+"="+address)
		}
	}
	links := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(t.Contexts)) {
		place := strings.TrimPrefix(t.Contexts[name], "cwd://")
		switch {
		case strings.HasPrefix(place, images.TargetContext):
			links[name] = place
		case strings.Contains(place, "://") || strings.HasPrefix(place, "git@"):
			texts.contexts = append(texts.contexts, name+"="+place)
		default:
			abs, err := p.abs(place)
			if err != nil {
				return r, f, err
			}
			texts.contexts = append(texts.contexts, name+"="+abs)
		}
	}
	if err := p.complete(&r, &f, texts); err != nil {
		return r, f, err
	}
	maps.Copy(r.Contexts, links)
	return r, f, p.targetContext(&r, t)
}

// targetContext finds the folder and the Dockerfile of a target.
func (p program) targetContext(r *recipe, t *bake.Target) error {
	place, file := strings.TrimPrefix(deref(t.Context), "cwd://"), deref(t.Dockerfile)
	if place == "-" || file == "-" {
		return slipway.Unsupported("standard input is not the context or the Dockerfile of a target: name a folder, or write dockerfile-inline")
	}
	if r.Context = place; isURL(place) {
		r.Dockerfile = file
		return nil
	}
	var err error
	if r.Context, err = p.abs(place); err != nil {
		return err
	}
	if r.DockerfileText != "" {
		return nil
	}
	if own, ok := strings.CutPrefix(file, "cwd://"); ok {
		r.Dockerfile, err = p.abs(own)
		return err
	}
	if r.Dockerfile = file; !filepath.IsAbs(file) {
		r.Dockerfile = filepath.Join(r.Context, file)
	}
	return nil
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// assignments are KEY=VALUE in the order of the keys.
func assignments(m map[string]*string) []string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if m[key] != nil {
			out = append(out, key+"="+*m[key])
		}
	}
	return out
}

// folder is where the program works.
func (p program) folder() (string, error) {
	if p.dir != "" {
		return p.dir, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the working folder: %w", err)
	}
	return dir, nil
}

// abs is a path from the folder where the program works.
func (p program) abs(path string) (string, error) {
	if filepath.IsAbs(path) {
		return filepath.Clean(path), nil
	}
	dir, err := p.folder()
	return filepath.Join(dir, path), err
}

// environ is the process's environment.
func (p program) environ() map[string]string {
	if p.env == nil {
		return pairs(os.Environ())
	}
	return maps.Clone(p.env)
}
