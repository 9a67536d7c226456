package bake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"slipway"

	"github.com/docker/buildx/bake/hclparser"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
)

// maxFile bounds a bake or compose file, maxFiles how many are read together.
const (
	maxFile  = 4 << 20
	maxFiles = 100
)

// File is a file with its content.
type File struct {
	Name string
	Data []byte
}

// defaultFiles are looked for when none is named; those that are there are all read, in this order (buildx, bake/bake.go).
var defaultFiles = []string{
	"compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml",
	"docker-bake.json", "docker-bake.hcl", "docker-bake.override.json", "docker-bake.override.hcl",
}

// ReadFiles reads the named files, of which - is stdin, or without names those that bake reads by default. Names are relative to dir.
func ReadFiles(dir string, names []string, stdin io.Reader) ([]File, error) {
	byDefault := len(names) == 0
	if byDefault {
		names = defaultFiles
	}
	if len(names) > maxFiles {
		return nil, slipway.Limit("%d files are more than the %d that are read together", len(names), maxFiles)
	}
	var out []File
	for _, name := range names {
		b, err := readFile(dir, name, stdin)
		if byDefault && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, File{Name: name, Data: b})
	}
	if len(out) == 0 {
		return nil, slipway.NotFound("there is no bake file in %s: write docker-bake.hcl, or name a file with -f", dir)
	}
	return out, nil
}

func readFile(dir, name string, stdin io.Reader) ([]byte, error) {
	r := stdin
	if name != "-" {
		if strings.Contains(name, "://") {
			return nil, slipway.Unsupported("the bake file %s is not read from elsewhere: check its repository out and name the file", name)
		}
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		f, err := os.Open(path)
		if err != nil {
			return nil, slipway.NotFound("the bake file %s cannot be read", name).Because(err)
		}
		defer f.Close()
		r = f
	}
	b, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read the bake file %s: %w", name, err)
	}
	if len(b) > maxFile {
		return nil, slipway.Limit("the bake file %s is larger than %d bytes", name, maxFile)
	}
	return b, nil
}

// Environment is what files may ask for beside themselves.
type Environment struct {
	Variables map[string]string // of --var, before all others
	Environ   map[string]string // the process's
	Platform  string            // the builder's, as linux/amd64: BAKE_LOCAL_PLATFORM
}

// Parse reads files over one another: compose files first, then those in HCL and JSON. A mistake is a slipway.Problem with its place.
func Parse(ctx context.Context, files []File, env Environment) (*Config, error) {
	var composes []File
	var bodies []*hcl.File
	for _, f := range files {
		if isCompose(f.Name) {
			composes = append(composes, f)
			continue
		}
		parsed, err := parseHCL(f)
		if err == nil {
			bodies = append(bodies, parsed)
			continue
		}
		if ext := filepath.Ext(f.Name); ext == ".json" || ext == ".hcl" {
			return nil, err
		}
		if _, composeErr := loadServices(ctx, []File{f}, env); composeErr != nil {
			return nil, err
		}
		composes = append(composes, f)
	}
	c := &Config{}
	if len(composes) > 0 {
		project, err := loadServices(ctx, composes, env)
		if err != nil {
			return nil, err
		}
		if c, err = fromProject(project); err != nil {
			return nil, err
		}
	}
	if len(bodies) > 0 {
		if err := c.evaluate(bodies, env); err != nil {
			return nil, err
		}
	}
	return c.joined(), nil
}

func isCompose(name string) bool {
	ext := strings.ToLower(filepath.Ext(name))
	return ext == ".yml" || ext == ".yaml"
}

// parseHCL reads HCL, or the same in JSON; a name that does not tell is tried as both.
func parseHCL(f File) (*hcl.File, error) {
	parser := hclparse.NewParser()
	if filepath.Ext(f.Name) == ".json" {
		file, diags := parser.ParseJSON(f.Data, f.Name)
		return file, mistake(diags)
	}
	file, diags := parser.ParseHCL(f.Data, f.Name)
	if diags.HasErrors() && filepath.Ext(f.Name) != ".hcl" {
		if other, more := hclparse.NewParser().ParseJSON(f.Data, f.Name); !more.HasErrors() {
			return other, nil
		}
	}
	return file, mistake(diags)
}

// mistake is the first error, with its place.
func mistake(diags hcl.Diagnostics) error {
	for _, d := range diags {
		if d.Severity != hcl.DiagError {
			continue
		}
		message := d.Summary
		if d.Detail != "" {
			message += ": " + d.Detail
		}
		p := slipway.Invalid("%s", message)
		if d.Subject != nil {
			return p.At(slipway.Position{File: d.Subject.Filename, Line: d.Subject.Start.Line, Column: d.Subject.Start.Column})
		}
		return p
	}
	return nil
}

// evaluate adds what the HCL files say.
func (c *Config) evaluate(files []*hcl.File, env Environment) error {
	lookup := func(key string) (string, bool) {
		if v, ok := env.Variables[key]; ok {
			return v, true
		}
		v, ok := env.Environ[key]
		return v, ok
	}
	found, diags := hclparser.Parse(hclparser.MergeFiles(files), hclparser.Opt{
		LookupVar: lookup, ValidateLabel: checkName,
		Vars: map[string]string{"BAKE_CMD_CONTEXT": "cwd://", "BAKE_LOCAL_PLATFORM": env.Platform},
	}, c)
	if err := mistake(diags); err != nil {
		return err
	}
	for _, renamed := range found.Renamed {
		for label, names := range renamed {
			// A target with a matrix becomes several, and its label a group of them.
			if names = unique(names); len(names) != 1 || names[0] != label {
				c.Groups = append(c.Groups, &Group{Name: label, Targets: names})
			}
		}
	}
	return nil
}

// joined makes one target of those with one name, and of groups likewise.
func (c *Config) joined() *Config {
	out := &Config{}
	groups, targets := map[string]*Group{}, map[string]*Target{}
	for _, g := range c.Groups {
		if old := groups[g.Name]; old != nil {
			old.Targets = append(old.Targets, g.Targets...)
			continue
		}
		groups[g.Name] = g
		out.Groups = append(out.Groups, g)
	}
	for _, g := range out.Groups {
		g.Targets = unique(g.Targets)
	}
	for _, t := range c.Targets {
		if old := targets[t.Name]; old != nil {
			old.Merge(t)
			continue
		}
		targets[t.Name] = t
		out.Targets = append(out.Targets, t)
	}
	return out
}
