package agent

import (
	"bufio"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"slipway/internal/pipelines/variable"
)

// npm is the task Npm@1.
func (t *task) npm(in inputs) error {
	dir := t.absolute(in.text("workingDir"))
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return fmt.Errorf("the folder of npm, %s, does not exist", dir)
	}
	env := map[string]string{}
	target := in.text("publishEndpoint")
	if !strings.EqualFold(in.text("command"), "publish") {
		target = ""
	}
	end, err := t.npmConnections(in.text("customEndpoint"), target, env)
	if err != nil {
		return err
	}
	defer end()
	if target != "" && !strings.Contains(target, "://") {
		back, err := t.withoutNpmrc(dir)
		if err != nil {
			return err
		}
		defer back()
	}
	if in.flag("verbose", false) || strings.EqualFold(t.vars.Text(variable.SystemDebug), "true") {
		env["NPM_CONFIG_LOGLEVEL"] = "verbose"
	}
	args := []string{strings.ToLower(in.text("command"))}
	switch args[0] {
	case "":
		args[0] = "install"
	case "install", "ci", "publish":
	case "custom":
		words := splitArguments(in.text("customCommand"))
		args = words
	default:
		return fmt.Errorf("the command %q of Npm@1 is not one that Slipway runs: use custom, with it as customCommand", in.text("command"))
	}
	return t.runShown(process{name: "npm", args: args, dir: dir, env: env})
}

// withoutNpmrc puts the project's .npmrc aside until back is called: what is published goes to the connection's registry, whatever registry
// the project has for its scope (npmpublish.ts of NpmV1, which always overrides it).
func (t *task) withoutNpmrc(dir string) (back func(), err error) {
	path := filepath.Join(dir, ".npmrc")
	if !t.isFile(path) {
		return func() {}, nil
	}
	folder, end, err := t.privateFolder("npmrc-")
	if err != nil {
		return nil, err
	}
	aside := filepath.Join(folder, ".npmrc")
	if err := os.Rename(path, aside); err != nil {
		end()
		return nil, fmt.Errorf("put the project's .npmrc aside: %w", err)
	}
	return func() {
		if err := os.Rename(aside, path); err != nil {
			t.warn(fmt.Sprintf("The project's .npmrc stays at %s: %v", aside, err))
			return
		}
		end()
	}, nil
}

const (
	maxNpmrc      = 1 << 20 // bytes
	maxRegistries = 100
)

// npmAuthenticate is the task npmAuthenticate@0. It writes the credentials of service connections into an .npmrc file until the job
// ends, and says which other registries of it need a token.
func (t *task) npmAuthenticate(in inputs) error {
	path := t.absolute(in.text("workingFile"))
	if !strings.HasSuffix(path, ".npmrc") {
		return fmt.Errorf("%s is no .npmrc file: give the path of one", path)
	}
	info, err := os.Stat(path)
	if err != nil || info.IsDir() {
		return fmt.Errorf("the file %s is not there", path)
	}
	if info.Size() > maxNpmrc {
		return fmt.Errorf("%s has more than %d bytes", path, maxNpmrc)
	}
	registries, tokens, err := readNpmrc(path)
	if err != nil {
		return err
	}
	connections, err := t.connections(in.text("customEndpoint"))
	if err != nil {
		return err
	}
	lines, opened, err := t.npmCredentials(connections, append([]string{}, registries...))
	if err != nil {
		return err
	}
	if err := t.appendForJob(path, lines); err != nil {
		return err
	}
	tokens = append(tokens, opened...)
	for _, registry := range registries {
		u, err := url.Parse(registry)
		switch {
		case err != nil || u.Host == "":
			t.warn(fmt.Sprintf("%s names the registry %q, which is no URL.", path, registry))
		case hasToken(tokens, u):
			t.log.Printf("%s has a token of its own.", registry)
		default:
			t.log.Printf("%s has no token in %s: if it is not public, add //%s/:_authToken=${NPM_TOKEN}, with NPM_TOKEN under env of the steps that run npm.", registry, path, strings.Trim(u.Host+u.Path, "/"))
		}
	}
	if len(registries) == 0 {
		t.log.Printf("%s names no registry.", path)
	}
	return nil
}

// warn shows a warning that the run counts.
func (t *task) warn(text string) {
	t.tell(t.logIssue(command{properties: map[string]string{"type": "warning"}, text: text}))
}

// readNpmrc finds the registries of an .npmrc file and the addresses that it has credentials of.
func readNpmrc(path string) (registries, tokens []string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read .npmrc: %w", err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, maxNpmrc)
	for lines.Scan() {
		key, value, ok := strings.Cut(strings.TrimSpace(lines.Text()), "=")
		key, value = strings.TrimSpace(key), strings.Trim(strings.TrimSpace(value), `"'`)
		switch {
		case !ok || strings.HasPrefix(key, "#") || strings.HasPrefix(key, ";"):
		case key == "registry" || strings.HasPrefix(key, "@") && strings.HasSuffix(key, ":registry"):
			registries = append(registries, value)
		case strings.HasPrefix(key, "//") && (strings.HasSuffix(key, ":_authToken") || strings.HasSuffix(key, ":_password") || strings.HasSuffix(key, ":_auth")):
			tokens = append(tokens, strings.ToLower(strings.TrimRight(key[:strings.LastIndex(key, ":")], "/")))
		}
		if len(registries)+len(tokens) > maxRegistries {
			return nil, nil, fmt.Errorf("%s names more than %d registries", path, maxRegistries)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, nil, fmt.Errorf("read .npmrc: %w", err)
	}
	return registries, tokens, nil
}

// hasToken looks for credentials of a registry, or of a folder above it, as npm does.
func hasToken(tokens []string, registry *url.URL) bool {
	address := strings.ToLower("//" + registry.Host + strings.TrimRight(registry.Path, "/"))
	for _, token := range tokens {
		if address == token || strings.HasPrefix(address, token+"/") {
			return true
		}
	}
	return false
}
