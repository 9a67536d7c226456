package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"slipway"
	"slipway/internal/images"
	"slipway/internal/images/bake"
)

// bakeFlags are the flags of bake and of compose build that go for all targets.
type bakeFlags struct {
	files, set, variables              []string
	push, noCache, pull, quiet         bool
	print                              bool
	list, progress, metadata           string
	provenance, sbom, call             string
	allow                              []string
	environ                            map[string]string // what files may ask for
	noCacheGiven, pullGiven, pushGiven bool
}

// bake does `docker buildx bake`.
func (p program) bake(ctx context.Context, args []string) error {
	var f bakeFlags
	flags := p.flags("buildx bake")
	flags.StringArrayVarP(&f.files, "file", "f", nil, "a bake or compose file, - for standard input; may be given several times")
	flags.StringArrayVar(&f.set, "set", nil, "TARGET.KEY=VALUE in place of what the files say, as in *.tag=NAME")
	flags.StringArrayVar(&f.variables, "var", nil, "NAME=VALUE of a variable")
	flags.BoolVar(&f.push, "push", false, "push the images")
	flags.BoolVar(&f.noCache, "no-cache", false, "build every step again")
	flags.BoolVar(&f.pull, "pull", false, "ask the registry again for base images")
	flags.BoolVar(&f.print, "print", false, "print what would be built, as JSON")
	flags.StringVar(&f.list, "list", "", "list targets, or type=targets,format=json")
	flags.StringVar(&f.progress, "progress", "auto", "plain, auto or tty (all plain here), quiet, rawjson")
	flags.StringVar(&f.metadata, "metadata-file", "", "write the builds' results to this file")
	flags.StringVar(&f.provenance, "provenance", "", "of all targets: true, false, mode=min or mode=max")
	flags.StringVar(&f.sbom, "sbom", "", "of all targets: true, false or generator=IMAGE")
	flags.Lookup("provenance").NoOptDefVal, flags.Lookup("sbom").NoOptDefVal = "true", "true"
	flags.StringVar(&f.call, "call", "build", "build only")
	flags.StringArrayVar(&f.allow, "allow", nil, "fs.read and fs.write change nothing: a job may read what it may")
	flags.Bool("load", false, "nothing to do: there is no engine to load into")
	flags.String("builder", "", "there is one builder, whatever it is called")
	flags.BoolP("debug", "D", false, "nothing to do")
	if err := flags.Parse(args); err != nil {
		return flagError(err)
	}
	f.noCacheGiven, f.pullGiven, f.pushGiven = flags.Changed("no-cache"), flags.Changed("pull"), flags.Changed("push")
	f.environ = p.environ()
	if f.call != "build" {
		return slipway.Unsupported("docker buildx bake --call %s is not supported by Slipway's docker: the Dockerfile's checks are shown as warnings of every build", f.call)
	}
	for _, a := range f.allow {
		if !strings.HasPrefix(a, "fs") && a != "ssh" {
			return slipway.Unsupported("docker buildx bake --allow %s is not supported: the builder gives no step --network=host or --security=insecure; do that in a step of the job", a)
		}
	}
	names := flags.Args()
	if len(names) > 0 && isURL(names[0]) {
		return slipway.Unsupported("bake files are not read from %s: check the repository out and name the file with -f", names[0])
	}
	config, err := p.readBake(ctx, f)
	if err != nil {
		return err
	}
	if f.list != "" {
		return p.listTargets(config, f.list)
	}
	return p.bakeTargets(ctx, config, names, f)
}

func (p program) readBake(ctx context.Context, f bakeFlags) (*bake.Config, error) {
	dir, err := p.folder()
	if err != nil {
		return nil, err
	}
	files, err := bake.ReadFiles(dir, f.files, p.stdin)
	if err != nil {
		return nil, err
	}
	environ := f.environ
	if environ["BUILDX_BAKE_DISABLE_VARS_ENV_LOOKUP"] == "1" || environ["BUILDX_BAKE_DISABLE_VARS_ENV_LOOKUP"] == "true" {
		environ = nil
	}
	return bake.Parse(ctx, files, bake.Environment{Variables: pairs(f.variables), Environ: environ, Platform: images.OwnPlatform()})
}

// listTargets does `--list`.
func (p program) listTargets(c *bake.Config, list string) error {
	kind, format := list, ""
	for _, field := range strings.Split(list, ",") {
		if v, ok := strings.CutPrefix(field, "type="); ok {
			kind = v
		}
		if v, ok := strings.CutPrefix(field, "format="); ok {
			format = v
		}
	}
	if kind != "targets" {
		return slipway.Unsupported("docker buildx bake --list %s is not supported: write --list targets; the variables stand in the files", list)
	}
	type row struct {
		Name        string `json:"name"`
		Description string `json:"description,omitempty"`
		Group       bool   `json:"group,omitempty"`
	}
	var rows []row
	for _, g := range c.Groups {
		rows = append(rows, row{g.Name, g.Description, true})
	}
	for _, t := range c.Targets {
		rows = append(rows, row{t.Name, t.Description, false})
	}
	slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(a.Name, b.Name) })
	if format == "json" {
		return p.printJSON(rows)
	}
	fmt.Fprintln(p.stdout, "TARGET\tDESCRIPTION")
	for _, r := range rows {
		fmt.Fprintf(p.stdout, "%s\t%s\n", r.Name, r.Description)
	}
	return nil
}

// overrides are the flags for all targets in the form of --set, which go before what the files say and before --set.
func (f bakeFlags) overrides() []string {
	var out []string
	if f.noCacheGiven {
		out = append(out, fmt.Sprintf("*.no-cache=%t", f.noCache))
	}
	if f.pullGiven {
		out = append(out, fmt.Sprintf("*.pull=%t", f.pull))
	}
	if f.pushGiven {
		out = append(out, fmt.Sprintf("*.push=%t", f.push))
	}
	for kind, value := range map[string]string{"provenance": f.provenance, "sbom": f.sbom} {
		if value != "" {
			out = append(out, "*.attest="+bake.Attestation(kind, value))
		}
	}
	return append(slices.Clone(f.set), out...)
}

// bakeTargets builds the targets of the names, or prints them.
func (p program) bakeTargets(ctx context.Context, c *bake.Config, names []string, f bakeFlags) error {
	plan, err := c.Resolve(names, f.overrides(), f.environ)
	if err != nil {
		return err
	}
	if f.print {
		b, err := plan.Print()
		if err != nil {
			return err
		}
		_, err = p.stdout.Write(b)
		return err
	}
	p.getenv = lookup(p.getenv, f.environ)
	b, err := p.prepareBake(plan, f)
	if err != nil {
		return err
	}
	return b.build(ctx)
}

// lookup asks an environment after the process's own.
func lookup(getenv func(string) string, environ map[string]string) func(string) string {
	return func(key string) string { return cmp.Or(getenv(key), environ[key]) }
}

// baking is a plan on its way.
type baking struct {
	program
	flags   bakeFlags
	names   []string
	plan    *bake.Plan
	recipes map[string]recipe
	flagsOf map[string]buildFlags
}

func (p program) prepareBake(plan *bake.Plan, f bakeFlags) (*baking, error) {
	b := &baking{program: p, flags: f, plan: plan, names: slices.Sorted(maps.Keys(plan.Targets)), recipes: map[string]recipe{}, flagsOf: map[string]buildFlags{}}
	for _, name := range b.names {
		r, flags, err := p.targetRecipe(plan.Targets[name], f.progress)
		if err != nil {
			return nil, images.InTarget(name, err)
		}
		b.recipes[name], b.flagsOf[name] = r, flags
	}
	return b, nil
}

// build builds all targets and remembers them for `docker push`.
func (b *baking) build(ctx context.Context) error {
	var targets []images.Target
	for _, name := range b.names {
		f := b.flagsOf[name]
		s := solveOptions{listed: true, tags: b.recipes[name].Tags, push: f.push, noCache: f.noCache, pull: f.pull, outputs: f.outputs, cacheOnly: f.cacheOnly}
		if b.flags.progress == "rawjson" && !b.flags.quiet {
			s.status = b.stderr
		}
		o, err := b.options(b.recipes[name], s)
		if err != nil {
			return images.InTarget(name, err)
		}
		targets = append(targets, images.Target{Name: name, Options: o})
	}
	dial, err := b.builder()
	if err != nil {
		return err
	}
	results, err := images.BuildAll(ctx, dial, targets, b.progress(buildFlags{progress: b.flags.progress, quiet: b.flags.quiet}))
	metadata := map[string]any{}
	for _, name := range b.names {
		result := results[name]
		if err != nil || result.Err != nil {
			continue
		}
		if err := b.finish(name, result.Result); err != nil {
			return err
		}
		metadata[name] = metadataOf(result.Result)
	}
	if err != nil || b.flags.metadata == "" {
		return err
	}
	return writeMetadata(b.flags.metadata, metadata)
}

// finish remembers and reports one target.
func (b *baking) finish(name string, result images.Result) error {
	r := b.recipes[name]
	if result.Digest != "" && !b.flagsOf[name].cacheOnly {
		r.Digest, r.Built = result.Digest, time.Now().UTC()
		r.Linked = b.linked(r)
		if err := b.remember(r); err != nil {
			return err
		}
	}
	if b.flags.quiet || b.flags.progress == "quiet" || b.flags.progress == "rawjson" {
		return nil
	}
	fmt.Fprintf(b.stderr, "%s: ", name)
	return b.report(b.flagsOf[name], r, result)
}

// linked are the recipes of the targets that a recipe begins from, and of those that they begin from.
func (b *baking) linked(r recipe) map[string]recipe {
	var out map[string]recipe
	for _, place := range r.Contexts {
		other, ok := strings.CutPrefix(place, images.TargetContext)
		if !ok {
			continue
		}
		if out == nil {
			out = map[string]recipe{}
		}
		out[other] = b.recipes[other]
		maps.Copy(out, b.linked(b.recipes[other]))
	}
	return out
}

// metadataOf is buildx's form of a result: BuildKit's keys, with base64 JSON values written out.
func metadataOf(result images.Result) map[string]any {
	out := map[string]any{}
	for k, v := range result.Attributes {
		out[k] = v
		if raw := embedded(v); raw != nil {
			out[k] = raw
		}
	}
	return out
}

func writeMetadata(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write metadata: %w", err)
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("write metadata: %w", err)
	}
	return nil
}
