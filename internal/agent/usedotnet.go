package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/Masterminds/semver/v3"

	"slipway/internal/agent/tool"
)

// maxGlobalJSON bounds a global.json file, in bytes.
const maxGlobalJSON = 1 << 20

// useDotNet is the task UseDotNet@2. Versions stand side by side below one folder, so that several can be asked for.
func (t *task) useDotNet(in inputs) error {
	kind := tool.DotNetSDK
	if strings.EqualFold(in.text("packageType"), "runtime") {
		kind = tool.DotNetRuntime
	}
	wanted, err := t.dotnetVersions(in, kind)
	if err != nil {
		return err
	}
	if err := t.dotnetToolPath(); err != nil {
		return err
	}
	if len(wanted) == 0 {
		return nil
	}
	i := t.installer()
	folder := t.absolute(in.text("installationPath"))
	if in.text("installationPath") == "" {
		folder = filepath.Join(t.folders.tools, "dotnet")
	}
	installed := false
	for _, want := range wanted {
		if in.flag("includePreviewVersions", false) {
			want = want.Unstable()
		}
		c, err := i.Use(t.ctx, kind, want, tool.Options{})
		if err != nil {
			return err
		}
		if c.Folder == "" || c.Folder == folder {
			continue
		}
		if err := t.addDotNet(c, folder); err != nil {
			return err
		}
		installed = true
	}
	if installed {
		t.assign("DOTNET_ROOT", folder)
		t.prepend(folder)
	}
	lookup := "0"
	if in.flag("performMultiLevelLookup", false) {
		lookup = "1"
	}
	t.assign("DOTNET_MULTILEVEL_LOOKUP", lookup)
	return nil
}

// dotnetToolPath puts the folder of dotnet's global tools before PATH.
func (t *task) dotnetToolPath() error {
	home := t.getenv("HOME")
	if home == "" {
		home = t.folders.root
	}
	tools := filepath.Join(home, ".dotnet", "tools")
	if err := os.MkdirAll(tools, 0o755); err != nil {
		return fmt.Errorf("make the folder of dotnet's tools: %w", err)
	}
	t.prepend(tools)
	return nil
}

// addDotNet puts a version beside those of the folder. A dotnet that was on PATH before comes along: programs are looked for
// below one folder only.
func (t *task) addDotNet(c tool.Candidate, folder string) error {
	from := []string{c.Folder}
	if !present(filepath.Join(folder, "dotnet")) {
		if path, err := t.look("dotnet"); err == nil {
			if path, err = filepath.EvalSymlinks(path); err == nil && present(filepath.Join(filepath.Dir(path), "host", "fxr")) {
				from = append(from, filepath.Dir(path))
			}
		}
	}
	for _, source := range from {
		// The program itself must be the newest: it starts older versions, too.
		if newestHost(source, folder) {
			if err := os.Remove(filepath.Join(folder, "dotnet")); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("install .NET: %w", err)
			}
		}
		if err := tool.CopyTree(t.ctx, source, folder); err != nil {
			return fmt.Errorf("install .NET: %w", err)
		}
	}
	return nil
}

// newestHost reports whether a folder's host is newer than that of the other.
func newestHost(folder, than string) bool {
	newest := func(folder string) *semver.Version {
		best := semver.New(0, 0, 0, "", "")
		entries, err := os.ReadDir(filepath.Join(folder, "host", "fxr"))
		if err != nil {
			return best
		}
		for _, entry := range entries {
			if v, err := semver.NewVersion(entry.Name()); err == nil && v.GreaterThan(best) {
				best = v
			}
		}
		return best
	}
	return newest(folder).GreaterThan(newest(than))
}

// dotnetVersions are the versions that the task asks for: one, or those of all global.json files.
func (t *task) dotnetVersions(in inputs, kind *tool.Tool) ([]tool.Spec, error) {
	if kind != tool.DotNetSDK || !in.flag("useGlobalJson", false) {
		if in.text("version") == "" {
			t.log.Printf("No version is asked for, so that .NET stays as it is.")
			return nil, nil
		}
		want, err := tool.ParseSpec(in.text("version"))
		if err != nil {
			return nil, fmt.Errorf(".NET: %w", err)
		}
		return []tool.Spec{want}, nil
	}
	folder, err := t.workingFolder(in.text("workingDirectory"))
	if err != nil {
		return nil, err
	}
	files, err := find(folder, patterns{"**/global.json"})
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no global.json is below %s", folder)
	}
	var list []tool.Spec
	for _, path := range files {
		version, err := globalVersion(path)
		if err != nil {
			return nil, err
		}
		if version == "" {
			t.warn(fmt.Sprintf("%s names no version of the SDK.", path))
			continue
		}
		t.log.Printf("%s asks for %s.", path, version)
		want, err := tool.ParseSpec(version)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		list = append(list, want)
	}
	return list, nil
}

// globalVersion reads the version of a global.json file, as the range that its rollForward allows.
func globalVersion(path string) (string, error) {
	text, err := readSmall(path)
	if err != nil {
		return "", fmt.Errorf("read global.json: %w", err)
	}
	if strings.TrimSpace(text) == "" {
		return "", nil
	}
	var file struct {
		SDK struct {
			Version     string `json:"version"`
			RollForward string `json:"rollForward"`
		} `json:"sdk"`
	}
	if err := json.Unmarshal([]byte(withoutComments(text)), &file); err != nil {
		return "", fmt.Errorf("%s is no valid global.json: %w", path, err)
	}
	v, err := semver.StrictNewVersion(file.SDK.Version)
	if err != nil {
		return file.SDK.Version, nil //nolint:nilerr // the caller says what is wrong with it
	}
	switch strings.ToLower(file.SDK.RollForward) {
	case "patch", "latestpatch":
		band := v.Patch() / 100 * 100
		return fmt.Sprintf(">=%d.%d.%d <%d.%d.%d", v.Major(), v.Minor(), band, v.Major(), v.Minor(), band+100), nil
	case "feature", "latestfeature":
		return fmt.Sprintf("%d.%d.x", v.Major(), v.Minor()), nil
	case "minor", "latestminor", "major", "latestmajor":
		return fmt.Sprintf("%d.x", v.Major()), nil
	}
	return file.SDK.Version, nil
}

// readSmall reads a file of settings.
func readSmall(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxGlobalJSON+1))
	if err == nil && len(text) > maxGlobalJSON {
		err = fmt.Errorf("%s has more than %d bytes", path, maxGlobalJSON)
	}
	return strings.TrimPrefix(string(text), "\ufeff"), err
}

// withoutComments takes the comments out of JSON, which dotnet allows in global.json.
func withoutComments(text string) string {
	var out strings.Builder
	for i := 0; i < len(text); {
		rest := text[i:]
		switch {
		case rest[0] == '"':
			n := 1
			for n < len(rest) && rest[n] != '"' {
				if rest[n] == '\\' {
					n++
				}
				n++
			}
			n = min(n+1, len(rest))
			out.WriteString(rest[:n])
			i += n
		case strings.HasPrefix(rest, "//"):
			n := strings.IndexByte(rest, '\n')
			if n < 0 {
				n = len(rest)
			}
			i += n
		case strings.HasPrefix(rest, "/*"):
			n := strings.Index(rest[2:], "*/")
			if n < 0 {
				return out.String()
			}
			i += n + 4
		default:
			out.WriteByte(rest[0])
			i++
		}
	}
	return out.String()
}
