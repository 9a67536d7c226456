package goimage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"slipway"

	"go.yaml.in/yaml/v4"
)

// settingsFile is ko's file of settings in a module's folder.
const settingsFile = ".ko.yaml"

// maxSettings bounds it, in bytes.
const maxSettings = 1 << 20

// settings are what ko's file says (ko.build, "Configuration").
type settings struct {
	DefaultBaseImage   string            `yaml:"defaultBaseImage"`
	BaseImageOverrides map[string]string `yaml:"baseImageOverrides"`
	DefaultPlatforms   []string          `yaml:"defaultPlatforms"`
	DefaultEnv         []string          `yaml:"defaultEnv"`
	DefaultFlags       []string          `yaml:"defaultFlags"`
	DefaultLdflags     []string          `yaml:"defaultLdflags"`
	Builds             []settingsBuild   `yaml:"builds"`
}

type settingsBuild struct {
	ID      string   `yaml:"id"`
	Dir     string   `yaml:"dir"`
	Main    string   `yaml:"main"`
	Env     []string `yaml:"env"`
	Flags   []string `yaml:"flags"`
	Ldflags []string `yaml:"ldflags"`
}

// readSettings reads the file; without one everything is empty. place is another folder of it, or its path.
func readSettings(dir, place string) (settings, error) {
	var s settings
	if place == "" || !filepath.IsAbs(place) {
		place = filepath.Join(dir, place)
	}
	if fi, err := os.Stat(place); err == nil && fi.IsDir() {
		place = filepath.Join(place, settingsFile)
	}
	f, err := os.Open(place)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("read %s: %w", settingsFile, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSettings+1))
	if err != nil {
		return s, fmt.Errorf("read %s: %w", settingsFile, err)
	}
	if len(b) > maxSettings {
		return s, slipway.Limit("%s is larger than %d bytes", settingsFile, maxSettings)
	}
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(&s); err != nil && !errors.Is(err, io.EOF) {
		return s, slipway.Invalid("%s: %v", settingsFile, err)
	}
	return s, nil
}

// apply completes the options by the settings of the module; what the options say themselves goes before.
func (s settings) apply(o Options) (Options, error) {
	if o.Base == "" {
		o.Base = s.DefaultBaseImage
		if base := s.BaseImageOverrides[o.importPath]; base != "" {
			o.Base = base
		}
	}
	if len(o.Platforms) == 0 {
		o.Platforms = slices.Clone(s.DefaultPlatforms)
	}
	if slices.Contains(o.Platforms, "all") {
		return o, slipway.Unsupported("%s: the platform all is not supported: list the platforms, as linux/amd64", settingsFile)
	}
	env, flags, ldflags := s.DefaultEnv, s.DefaultFlags, s.DefaultLdflags
	for _, b := range s.Builds {
		if b.is(o) {
			if len(b.Env) > 0 {
				env = b.Env
			}
			if len(b.Flags) > 0 {
				flags = b.Flags
			}
			if len(b.Ldflags) > 0 {
				ldflags = b.Ldflags
			}
		}
	}
	values := templateValues(o.Dir)
	for _, list := range []struct {
		from []string
		to   *[]string
	}{{env, &o.Env}, {flags, &o.Flags}} {
		texts, err := expandAll(list.from, values)
		if err != nil {
			return o, err
		}
		*list.to = slices.Concat(texts, *list.to)
	}
	if o.Ldflags == "" {
		texts, err := expandAll(ldflags, values)
		if err != nil {
			return o, err
		}
		o.Ldflags = strings.Join(texts, " ")
	}
	return o, nil
}

// is reports whether the settings are those of a package.
func (b settingsBuild) is(o Options) bool {
	main := b.Main
	if strings.HasSuffix(main, ".go") {
		main = path.Dir(main)
	}
	folder := filepath.Join(o.Dir, b.Dir, main)
	if real, err := filepath.EvalSymlinks(folder); err == nil {
		folder = real
	}
	if abs, err := filepath.Abs(folder); err == nil {
		folder = abs
	}
	return folder == o.dir
}

// templateValues are what {{...}} in the settings may name.
func templateValues(dir string) map[string]any {
	env := map[string]string{}
	for _, pair := range os.Environ() {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	git := func(args ...string) string {
		out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).Output()
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(out))
	}
	return map[string]any{"Env": env, "Git": map[string]string{
		"FullCommit": git("rev-parse", "HEAD"), "ShortCommit": git("rev-parse", "--short", "HEAD"), "Branch": git("rev-parse", "--abbrev-ref", "HEAD"),
		"Tag": git("describe", "--tags", "--abbrev=0"),
	}}
}

func expandAll(texts []string, values map[string]any) ([]string, error) {
	var out []string
	for _, text := range texts {
		t, err := template.New(settingsFile).Option("missingkey=error").Parse(text)
		if err != nil {
			return nil, slipway.Invalid("%s: %q: %v", settingsFile, text, err)
		}
		var b strings.Builder
		if err := t.Execute(&b, values); err != nil {
			return nil, slipway.Invalid("%s: %q: %v: write .Env.NAME, or .Git.Branch, .Git.Tag, .Git.ShortCommit or .Git.FullCommit", settingsFile, text, err)
		}
		out = append(out, b.String())
	}
	return out, nil
}
