package bake

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"slipway"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
)

// ProjectOptions say which compose files are read and how, as the options of `docker compose` do.
type ProjectOptions struct {
	Dir           string   // the working folder; "" is the process's
	Files         []string // relative to Dir; none is COMPOSE_FILE, or compose.yaml and its like in Dir or above
	ProjectDir    string   // what paths in the files are relative to; "" is the first file's folder
	Name          string
	Profiles      []string
	EnvFiles      []string // in place of .env
	Environ       []string // KEY=VALUE
	NoInterpolate bool
}

// Project is what compose files say, all together.
type Project struct{ project *types.Project }

// LoadProject reads compose files as `docker compose` does.
func LoadProject(ctx context.Context, o ProjectOptions) (*Project, error) {
	in := func(path string) string {
		if path == "" || path == "-" || o.Dir == "" || filepath.IsAbs(path) {
			return path
		}
		return filepath.Join(o.Dir, path)
	}
	var files, envFiles []string
	for _, f := range o.Files {
		files = append(files, in(f))
	}
	for _, f := range o.EnvFiles {
		envFiles = append(envFiles, in(f))
	}
	dir := in(o.ProjectDir)
	if len(files) == 0 && dir == "" {
		dir = o.Dir
	}
	options, err := cli.NewProjectOptions(files, cli.WithWorkingDirectory(dir), cli.WithEnv(o.Environ), cli.WithConfigFileEnv, cli.WithDefaultConfigPath,
		cli.WithEnvFiles(envFiles...), cli.WithDotEnv, cli.WithDefaultProfiles(o.Profiles...), cli.WithName(o.Name), cli.WithInterpolation(!o.NoInterpolate))
	if err != nil {
		return nil, slipway.Invalid("the compose files: %v", err)
	}
	if len(options.ConfigPaths) == 0 {
		return nil, slipway.NotFound("there is no compose file: write compose.yaml, or name a file with -f")
	}
	if len(options.ConfigPaths) > maxFiles {
		return nil, slipway.Limit("%d compose files are more than the %d that are read together", len(options.ConfigPaths), maxFiles)
	}
	project, err := options.LoadProject(ctx)
	if err != nil {
		return nil, slipway.Invalid("the compose file: %v", err)
	}
	return &Project{project}, nil
}

// Select keeps the named services, which may be of profiles that are not active, with those that they need if dependencies is true.
// No name keeps all.
func (p *Project) Select(names []string, dependencies bool) error {
	if len(names) == 0 {
		return nil
	}
	project, err := p.project.WithServicesEnabled(names...)
	if err != nil {
		return slipway.Invalid("%v", err)
	}
	for _, name := range names {
		if _, ok := project.Services[name]; !ok {
			return slipway.NotFound("there is no service %s: there are %s", name, strings.Join(sortedNames(project.Services), ", "))
		}
	}
	option := types.IgnoreDependencies
	if dependencies {
		option = types.IncludeDependencies
	}
	if project, err = project.WithSelectedServices(names, option); err != nil {
		return slipway.Invalid("%v", err)
	}
	p.project = project
	return nil
}

// Config is what is to be built: a target for each service with a build, named NAME-SERVICE if it has no image, and the group default.
// Services that others have as a context are there too.
func (p *Project) Config() (*Config, error) {
	all := *p.project
	all.Services = maps.Clone(p.project.Services)
	for more := true; more; {
		more = false
		for _, s := range sortedNames(all.Services) {
			if all.Services[s].Build == nil {
				continue
			}
			for _, place := range all.Services[s].Build.AdditionalContexts {
				other, ok := strings.CutPrefix(place, "service:")
				if _, there := all.Services[other]; !ok || there {
					continue
				}
				service, there := p.project.DisabledServices[other]
				if !there {
					return nil, slipway.NotFound("service %s: there is no service %s, which is a context of its build", s, other)
				}
				all.Services[other], more = service, true
			}
		}
	}
	for name, s := range all.Services {
		if s.Build != nil && s.Image == "" {
			s.Image = p.project.Name + "-" + name
			all.Services[name] = s
		}
	}
	c, err := fromProject(&all)
	if err != nil {
		return nil, err
	}
	for _, g := range c.Groups {
		g.Targets = slices.DeleteFunc(g.Targets, func(target string) bool {
			return !slices.ContainsFunc(sortedNames(p.project.Services), func(s string) bool { return plainName(s) == target })
		})
	}
	return c.joined(), nil
}

// Service is a service of a project as far as images go.
type Service struct {
	Name, Image string
	Built       bool
}

// Services are in the order of their names.
func (p *Project) Services() []Service {
	var out []Service
	for _, name := range sortedNames(p.project.Services) {
		s := Service{Name: name, Image: p.project.Services[name].Image, Built: p.project.Services[name].Build != nil}
		if s.Image == "" {
			s.Image = p.project.Name + "-" + name
		}
		out = append(out, s)
	}
	return out
}

// Environment is what the files were read with: the process's, and that of .env.
func (p *Project) Environment() map[string]string { return maps.Clone(p.project.Environment) }

// Volumes and Profiles are names in order.
func (p *Project) Volumes() []string { return sortedNames(p.project.Volumes) }

// Profiles are those that any service names.
func (p *Project) Profiles() []string {
	var out []string
	for _, s := range p.project.AllServices() {
		out = append(out, s.Profiles...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Pin puts the digest that resolve gives in place of each image's tag.
func (p *Project) Pin(resolve func(image string) (string, error)) error {
	project, err := p.project.WithImagesResolved(func(named reference.Named) (digest.Digest, error) {
		d, err := resolve(named.String())
		return digest.Digest(d), err
	})
	if err != nil {
		return err
	}
	p.project = project
	return nil
}

// YAML is the whole of it in canonical form.
func (p *Project) YAML() ([]byte, error) { return p.project.MarshalYAML() }

// JSON is the whole of it in canonical form.
func (p *Project) JSON() ([]byte, error) { return p.project.MarshalJSON() }
