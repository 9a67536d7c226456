package bake

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"slipway"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

// serviceKeys are what a build needs of a service; the rest may be of any version of the specification.
var serviceKeys = []string{"image", "build", "environment", "env_file"}

// loadServices reads compose files as bake does: builds alone, of all profiles, with folders relative to the working folder.
func loadServices(ctx context.Context, files []File, env Environment) (*types.Project, error) {
	details := types.ConfigDetails{Environment: maps.Clone(env.Environ)}
	if details.Environment == nil {
		details.Environment = types.Mapping{}
	}
	maps.Copy(details.Environment, env.Variables)
	for _, f := range files {
		details.ConfigFiles = append(details.ConfigFiles, types.ConfigFile{Filename: f.Name, Content: f.Data})
	}
	options := func(o *loader.Options) {
		o.SetProjectName("bake", false)
		o.SkipNormalization, o.SkipValidation = true, true
		o.Profiles = []string{"*"}
	}
	raw, err := loader.LoadModelWithContext(ctx, details, options)
	if err != nil {
		return nil, composeMistake(files, err)
	}
	kept := map[string]any{}
	if secrets, ok := raw["secrets"]; ok {
		kept["secrets"] = secrets
	}
	services := map[string]any{}
	all, _ := raw["services"].(map[string]any)
	for name, service := range all {
		one := map[string]any{}
		if keys, ok := service.(map[string]any); ok {
			for _, key := range serviceKeys {
				if v, ok := keys[key]; ok {
					one[key] = v
				}
			}
		}
		services[name] = one
	}
	if len(services) == 0 {
		return nil, slipway.Invalid("the compose file %s has no services", files[0].Name)
	}
	kept["services"] = services
	project, err := loader.ModelToProject(kept, loader.ToOptions(&details, []func(*loader.Options){options}), details)
	if err != nil {
		return nil, composeMistake(files, err)
	}
	return project, nil
}

func composeMistake(files []File, err error) error {
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
	}
	return slipway.Invalid("the compose file %s: %v", strings.Join(names, ", "), err)
}

// fromProject makes a target of each service that is built, and the group default of all.
func fromProject(project *types.Project) (*Config, error) {
	c := &Config{}
	all := &Group{Name: "default"}
	for _, name := range slices.Sorted(maps.Keys(project.Services)) {
		service := project.Services[name]
		if service.Build == nil {
			continue
		}
		t, err := fromService(project, service)
		if err != nil {
			return nil, err
		}
		c.Targets, all.Targets = append(c.Targets, t), append(all.Targets, t.Name)
	}
	if len(c.Targets) > 0 {
		c.Groups = append(c.Groups, all)
	}
	return c, nil
}

func fromService(project *types.Project, s types.ServiceConfig) (*Target, error) {
	b := s.Build
	name := plainName(s.Name)
	if err := checkName(name); err != nil {
		return nil, err
	}
	if b.Privileged || b.Isolation != "" {
		return nil, slipway.Unsupported("service %s: privileged and isolation of a build are not supported: the builder gives no step more rights", s.Name)
	}
	t := &Target{
		Name: name, Context: text(b.Context), Dockerfile: text(b.Dockerfile), DockerfileInline: text(b.DockerfileInline), Target: text(b.Target), Network: text(b.Network),
		Tags: slices.Clone(b.Tags), CacheFrom: Entries(b.CacheFrom), CacheTo: Entries(b.CacheTo), Platforms: slices.Clone(b.Platforms), NoCacheFilter: slices.Clone(b.NoCacheFilter),
		Entitlements: b.Entitlements, Contexts: targetContexts(b.AdditionalContexts), Labels: map[string]*string{}, Args: map[string]*string{}, ExtraHosts: map[string]*string{},
	}
	if len(t.Tags) == 0 && s.Image != "" {
		t.Tags = []string{s.Image}
	}
	if b.NoCache {
		t.NoCache = &b.NoCache
	}
	if b.Pull {
		t.Pull = &b.Pull
	}
	if b.ShmSize > 0 {
		t.ShmSize = text(strconv.FormatInt(int64(b.ShmSize), 10))
	}
	for k, v := range b.Labels {
		t.Labels[k] = &v
	}
	args := b.Args.Resolve(func(key string) (string, bool) {
		if v := s.Environment[key]; v != nil {
			return *v, true
		}
		v, ok := project.Environment[key]
		return v, ok
	})
	t.Args = mergeValues(t.Args, args)
	for host, addresses := range b.ExtraHosts {
		t.ExtraHosts[host] = text(strings.Join(addresses, ","))
	}
	if err := t.addServiceLists(project, b); err != nil {
		return nil, fmt.Errorf("service %s: %w", s.Name, err)
	}
	return t, t.extend(b.Extensions["x-bake"])
}

// addServiceLists adds what a service's build has as lists of objects.
func (t *Target) addServiceLists(project *types.Project, b *types.BuildConfig) error {
	for _, name := range slices.Sorted(maps.Keys(b.Ulimits)) {
		u := b.Ulimits[name]
		limit := fmt.Sprintf("%s=%d:%d", name, u.Soft, u.Hard)
		if u.Single != 0 {
			limit = fmt.Sprintf("%s=%d", name, u.Single)
		}
		t.Ulimits = append(t.Ulimits, limit)
	}
	for _, key := range b.SSH {
		if key.Path == "" {
			t.SSH = append(t.SSH, key.ID)
		} else {
			t.SSH = append(t.SSH, key.ID+"="+key.Path)
		}
	}
	slices.Sort(t.SSH)
	for _, s := range b.Secrets {
		secret := project.Secrets[s.Source]
		id := s.Target
		if id == "" {
			id = s.Source
		}
		switch {
		case bool(secret.External):
			return slipway.Unsupported("the secret %s is external, of which a job knows nothing: write file or environment", s.Source)
		case secret.Environment != "":
			t.Secrets = append(t.Secrets, join(map[string]string{"id": id, "env": secret.Environment}))
		case secret.File != "":
			t.Secrets = append(t.Secrets, join(map[string]string{"id": id, "src": secret.File}))
		default:
			return slipway.Invalid("the secret %s has neither file nor environment", s.Source)
		}
	}
	for kind, value := range map[string]string{"sbom": b.SBOM, "provenance": b.Provenance} {
		if value != "" {
			t.Attest = append(t.Attest, Attestation(kind, value))
		}
	}
	slices.Sort(t.Attest)
	return nil
}

// Attestation is the form of --attest of a value of --sbom or --provenance.
func Attestation(kind, value string) string {
	if yes, err := strconv.ParseBool(value); err == nil {
		if yes {
			return "type=" + kind
		}
		return "type=" + kind + ",disabled=true"
	}
	return "type=" + kind + "," + value
}

// extend adds what x-bake says (docs.docker.com, "Building with Bake from a Compose file").
func (t *Target) extend(extension any) error {
	if extension == nil {
		return nil
	}
	raw, err := json.Marshal(extension)
	if err != nil {
		return slipway.Invalid("x-bake of %s: %v", t.Name, err)
	}
	var x struct {
		Tags          words             `json:"tags"`
		CacheFrom     words             `json:"cache-from"`
		CacheTo       words             `json:"cache-to"`
		Secrets       words             `json:"secret"`
		SSH           words             `json:"ssh"`
		Platforms     words             `json:"platforms"`
		Outputs       words             `json:"output"`
		Pull          *bool             `json:"pull"`
		NoCache       *bool             `json:"no-cache"`
		NoCacheFilter words             `json:"no-cache-filter"`
		Contexts      map[string]string `json:"contexts"`
	}
	decoder := json.NewDecoder(strings.NewReader(string(raw)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&x); err != nil {
		return slipway.Invalid("x-bake of %s: %v", t.Name, err)
	}
	t.Tags = append(t.Tags, x.Tags...)
	t.Platforms = append(t.Platforms, x.Platforms...)
	t.CacheTo = append(t.CacheTo, x.CacheTo...)
	t.Outputs = append(t.Outputs, x.Outputs...)
	contexts := targetContexts(x.Contexts)
	maps.Copy(contexts, t.Contexts) // what the service says itself goes before
	t.Contexts = contexts
	t.Merge(&Target{CacheFrom: Entries(x.CacheFrom), Secrets: Entries(x.Secrets), SSH: Keys(x.SSH), Pull: x.Pull, NoCache: x.NoCache, NoCacheFilter: x.NoCacheFilter})
	return nil
}

// words is a list, or one string that is split at blanks.
type words []string

// UnmarshalJSON (json.Unmarshaler).
func (w *words) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*w = strings.Fields(one)
		return nil
	}
	return json.Unmarshal(b, (*[]string)(w))
}

// targetContexts are named contexts in which service:NAME means the target of that service.
func targetContexts(m map[string]string) map[string]string {
	out := map[string]string{}
	for name, place := range m {
		for _, prefix := range []string{"service:", "target:"} {
			if service, ok := strings.CutPrefix(place, prefix); ok {
				place = "target:" + plainName(service)
				break
			}
		}
		out[name] = place
	}
	return out
}

// text is nil for an empty string.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// sortedNames are a map's keys in order.
func sortedNames[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }
