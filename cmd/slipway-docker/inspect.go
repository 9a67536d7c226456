package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/template"

	"slipway"
	"slipway/internal/images"
	"slipway/internal/images/progress"

	"github.com/opencontainers/go-digest"
)

// inspect does `docker inspect` and `docker image inspect` for images that this job pulled or pushed.
func (p program) inspect(ctx context.Context, args []string) error {
	flags := p.flags("inspect")
	format := flags.StringP("format", "f", "", "a Go template")
	kind := flags.String("type", "image", "image only")
	platform := flags.String("platform", "linux/"+runtime.GOARCH, "of an image for several")
	if err := flags.Parse(args); err != nil {
		return flagError(err)
	}
	if flags.NArg() == 0 {
		return usageError{errors.New("docker inspect needs the name of an image")}
	}
	if *kind != "image" {
		return slipway.Unsupported("docker inspect --type %s cannot work here: there is no container engine in a job, so there are images alone", *kind)
	}
	var all []map[string]any
	for _, name := range flags.Args() {
		one, err := p.inspectImage(ctx, name, *platform)
		if err != nil {
			return err
		}
		all = append(all, one)
	}
	if *format != "" {
		for _, one := range all {
			if err := p.template(*format, one); err != nil {
				return err
			}
		}
		return nil
	}
	return p.printJSON(all)
}

func (p program) inspectImage(ctx context.Context, name, platform string) (map[string]any, error) {
	full, err := p.remoteImage(name)
	if err != nil {
		return nil, err
	}
	r, err := p.recipe(full.String())
	if err != nil {
		return nil, err
	}
	at := full
	if r.Remote != "" {
		if at, err = p.remoteImage(r.Remote); err != nil {
			return nil, err
		}
	} else {
		at.reference = string(r.Digest)
	}
	d, config, err := at.config(ctx, platform)
	if err != nil && r.Remote == "" { // built in this job, and perhaps in the builder's cache alone
		config, err = p.builtConfig(ctx, r)
		d.Digest = digest.Digest(r.Digest)
	}
	if err != nil {
		return nil, err
	}
	// docker's names for the same (Engine API, ImageInspect).
	return map[string]any{
		"Id": config["id"], "RepoTags": r.Tags, "RepoDigests": []string{at.name + "@" + d.Digest.String()}, "Created": config["created"],
		"Architecture": config["architecture"], "Os": config["os"], "Variant": config["variant"], "Author": config["author"],
		"Config": config["config"], "RootFS": config["rootfs"], "Size": config["size"],
	}, nil
}

// builtConfig asks the builder for the configuration of an image that it built.
func (p program) builtConfig(ctx context.Context, r recipe) (map[string]any, error) {
	if r.Archive != "" {
		return nil, slipway.Unsupported("%s was loaded from an archive: push it, then its configuration can be read", strings.Join(r.Tags, ", "))
	}
	if len(r.Linked) > 0 {
		return nil, slipway.NotFound("%s begins with another target of its bake or compose file: push it, then its configuration can be read", strings.Join(r.Tags, ", "))
	}
	o, err := p.options(r, solveOptions{})
	if err != nil {
		return nil, err
	}
	dial, err := p.builder()
	if err != nil {
		return nil, err
	}
	raw, err := images.Config(ctx, dial, o)
	if err != nil {
		return nil, err
	}
	config := map[string]any{}
	if err := json.Unmarshal(raw, &config); err != nil {
		return nil, fmt.Errorf("read the image's configuration: %w", err)
	}
	config["id"] = string(r.ConfigDigest)
	return config, nil
}

// template prints a Go template as docker's --format does.
func (p program) template(text string, data any) error {
	if text == "json" {
		text = "{{json .}}"
	}
	t, err := template.New("format").Funcs(template.FuncMap{
		"json": func(v any) (string, error) { b, err := json.Marshal(v); return string(b), err },
		"join": func(list []string, sep string) string { return strings.Join(list, sep) }, "lower": strings.ToLower, "upper": strings.ToUpper,
	}).Parse(text)
	if err != nil {
		return slipway.Invalid("--format: %v", err)
	}
	var b strings.Builder
	if err := t.Execute(&b, data); err != nil {
		return slipway.Invalid("--format: %v", err)
	}
	_, err = fmt.Fprintln(p.stdout, b.String())
	return err
}

func (p program) printJSON(v any) error {
	e := json.NewEncoder(p.stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "    ")
	return e.Encode(v)
}

// save does `docker save` of an image that was built here: it is built again, from the cache, into an archive.
func (p program) save(ctx context.Context, args []string) error {
	flags := p.flags("save")
	out := flags.StringP("output", "o", "", "the archive; standard output without it")
	if err := flags.Parse(args); err != nil {
		return flagError(err)
	}
	if flags.NArg() != 1 {
		return slipway.Unsupported("docker save takes one image here: save each into an archive of its own")
	}
	name, err := imageName(flags.Arg(0))
	if err != nil {
		return err
	}
	r, err := p.recipe(name)
	if err != nil {
		return err
	}
	if r.Remote != "" || r.Archive != "" {
		return slipway.Unsupported("docker save of an image that was not built in this job cannot work here: copy it from the registry with crane or skopeo")
	}
	dest := "-"
	if *out != "" {
		if dest, err = filepath.Abs(*out); err != nil {
			return fmt.Errorf("find %s: %w", *out, err)
		}
	}
	_, err = p.solve(ctx, r, solveOptions{tags: []string{name}, outputs: []images.Output{{Type: "docker", Dest: dest}}, progress: func(progress.Event) {}})
	return err
}

// forget does `docker rmi`: the names mean nothing afterwards.
func (p program) forget(args []string) error {
	flags := p.flags("rmi")
	force := flags.BoolP("force", "f", false, "no error for an image that is not there")
	flags.Bool("no-prune", false, "nothing to do")
	if err := flags.Parse(args); err != nil {
		return flagError(err)
	}
	for _, arg := range flags.Args() {
		i, err := p.remoteImage(arg)
		if err != nil {
			return err
		}
		name := i.String()
		if _, err := p.recipe(name); err != nil && !*force {
			return err
		}
		err = p.changeRecipes(func(all []recipe) []recipe {
			for j := range all {
				all[j].Tags = slices.DeleteFunc(all[j].Tags, func(t string) bool { return t == name })
			}
			return slices.DeleteFunc(all, func(r recipe) bool { return len(r.Tags) == 0 })
		})
		if err != nil {
			return err
		}
		fmt.Fprintf(p.stdout, "Untagged: %s\n", name)
	}
	return nil
}
