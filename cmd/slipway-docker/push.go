package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"slipway"
	"slipway/internal/images"
	"slipway/internal/images/progress"

	"github.com/distribution/reference"
)

// push does `docker push NAME`: it builds the image again, whose steps are all in the builder's
// cache, sees that it is the very image that was built, and sends it.
func (p program) push(ctx context.Context, args []string) error {
	flags := p.flags("push")
	all := flags.BoolP("all-tags", "a", false, "push every tag of the repository that was built here")
	quiet := flags.BoolP("quiet", "q", false, "print the image's name alone")
	if err := flags.Parse(args); err != nil {
		return flagError(err)
	}
	if flags.NArg() != 1 {
		return usageError{errors.New("docker push needs exactly one argument, the image's name")}
	}
	name, err := imageName(flags.Arg(0))
	if err != nil {
		return err
	}
	names := []string{name}
	if *all {
		if names, err = p.tagsOf(flags.Arg(0)); err != nil {
			return err
		}
	}
	for _, n := range names {
		if err := p.pushOne(ctx, n, *quiet); err != nil {
			return err
		}
	}
	return nil
}

// tagsOf lists the names in one repository that were built here.
func (p program) tagsOf(repository string) ([]string, error) {
	all, err := p.recipes()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, r := range all {
		for _, t := range r.Tags {
			if repo, _ := splitTag(t); repo == repository {
				out = append(out, t)
			}
		}
	}
	if len(out) == 0 {
		return nil, slipway.NotFound("no image of %s was built in this job: run `docker build -t %s` first", repository, repository)
	}
	return out, nil
}

func (p program) pushOne(ctx context.Context, name string, quiet bool) error {
	r, err := p.recipe(name)
	if err != nil {
		return err
	}
	if r.Remote != "" {
		return p.copyRemote(ctx, r, name, quiet)
	}
	if r.Archive != "" {
		return p.pushArchive(ctx, r, name, quiet)
	}
	if len(r.Attestations) > 0 {
		return slipway.Unsupported("%s was built with attestations, which hold the time and would differ: build and push it at once, with `docker build --push`", name)
	}
	silent := func(progress.Event) {}
	again, err := p.solve(ctx, r, solveOptions{tags: []string{name}, progress: silent})
	if err != nil {
		return fmt.Errorf("push %s: %w", name, err)
	}
	if again.Digest != r.Digest {
		return slipway.Conflict("%s would not be the image that was built (%s): a file of the build context has changed since; build and push with `docker build --push`", name, r.Digest.Short())
	}
	result, err := p.solve(ctx, r, solveOptions{tags: []string{name}, push: true, progress: silent})
	if err != nil {
		return fmt.Errorf("push %s: %w", name, err)
	}
	if quiet {
		_, err = fmt.Fprintln(p.stdout, name)
		return err
	}
	repository, tag := splitTag(name)
	_, err = fmt.Fprintf(p.stdout, "The push refers to repository [%s]\n%s: digest: %s size: %d\n", repository, tag, result.Digest, manifestSize(result))
	return err
}

// manifestSize is the size that docker prints: the manifest's, in bytes.
func manifestSize(r images.Result) int64 {
	raw, err := base64.StdEncoding.DecodeString(r.Attributes["containerimage.descriptor"])
	if err != nil {
		return 0
	}
	var d struct {
		Size int64 `json:"size"`
	}
	if json.Unmarshal(raw, &d) != nil {
		return 0
	}
	return d.Size
}

// splitTag parts a complete name into repository and tag.
func splitTag(name string) (repository, tag string) {
	i := strings.LastIndexByte(name, ':')
	if i < 0 || strings.Contains(name[i:], "/") {
		return name, ""
	}
	return name[:i], name[i+1:]
}

// tag does `docker tag SOURCE TARGET`.
func (p program) tag(args []string) error {
	if len(args) != 2 {
		return usageError{errors.New("docker tag needs two arguments, the image's name and its new name")}
	}
	source, err := imageName(args[0])
	if err != nil {
		return err
	}
	target, err := imageName(args[1])
	if err != nil {
		return err
	}
	r, err := p.recipe(source)
	if err != nil {
		return err
	}
	r.Tags = []string{target}
	return p.remember(r)
}

// images does `docker images`: what was built in this job, the newest first.
func (p program) images(args []string) error {
	flags := p.flags("images")
	quiet := flags.BoolP("quiet", "q", false, "print digests alone")
	flags.BoolP("all", "a", false, "nothing to do: all that this job knows are listed")
	flags.Bool("no-trunc", false, "nothing to do")
	flags.Bool("digests", false, "nothing to do: they are listed")
	format := flags.String("format", "", "a Go template")
	if err := flags.Parse(args); err != nil {
		return flagError(err)
	}
	if flags.NArg() > 1 {
		return usageError{errors.New("docker images takes at most one argument, a repository")}
	}
	all, err := p.recipes()
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b recipe) int { return b.Built.Compare(a.Built) })
	w := tabwriter.NewWriter(p.stdout, 0, 0, 3, ' ', 0)
	if !*quiet && *format == "" {
		fmt.Fprintln(w, "REPOSITORY\tTAG\tDIGEST\tBUILT")
	}
	for _, r := range all {
		for _, name := range r.Tags {
			repository, tag := splitTag(name)
			if flags.NArg() == 1 && repository != familiar(flags.Arg(0)) {
				continue
			}
			if *format != "" {
				if err := p.template(*format, map[string]any{"Repository": repository, "Tag": tag, "Digest": r.Digest, "ID": r.ConfigDigest, "CreatedAt": r.Built}); err != nil {
					return err
				}
				continue
			}
			if *quiet {
				fmt.Fprintln(w, r.Digest)
				continue
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", repository, tag, r.Digest.Short(), r.Built.Format("2006-01-02 15:04:05"))
		}
	}
	return w.Flush()
}

func familiar(repository string) string {
	named, err := reference.ParseNormalizedNamed(repository)
	if err != nil {
		return repository
	}
	return reference.FamiliarName(named)
}
