package az

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"slipway"
)

const (
	requestTimeout = time.Minute
	maxAnswer      = 32 << 20 // bytes
)

// devOpsOptions are what the commands of the extension azure-devops have in common.
func devOpsOptions(more ...option) []option {
	return append(more, option{names: []string{"--organization", "--org"}, doc: "the server's address"},
		option{names: []string{"--project", "-p"}, doc: "the project; the job's own by default"}, option{names: []string{"--detect"}, doc: "changes nothing"})
}

// number is an option that is a whole number of 1 or more.
func (c *call) number(name string, byDefault int) (int, error) {
	text := c.text(name)
	if text == "" {
		return byDefault, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, usagef("argument --%s: %q is not a whole number above 0", name, text)
	}
	return n, nil
}

// teamProject is the project that a command is about.
func (c *call) teamProject() (string, error) {
	defaults := c.defaults()
	if err := c.sameServer(cmp.Or(c.text("organization"), defaults["organization"])); err != nil {
		return "", err
	}
	if name := cmp.Or(c.text("project"), defaults["project"], c.Getenv("SYSTEM_TEAMPROJECT")); name != "" {
		return name, nil
	}
	return "", usagef("--project must be given: there is no SYSTEM_TEAMPROJECT in the environment")
}

// sameServer refuses an organization that is not this server, so that a token is not sent elsewhere and nobody believes that a
// pipeline of Azure's was started.
func (c *call) sameServer(organization string) error {
	if organization == "" {
		return nil
	}
	named, err := url.Parse(organization)
	if err != nil || named.Host == "" {
		return usagef("--organization %q is not an address: leave it out, or write $(System.CollectionUri)", organization)
	}
	for _, own := range []string{c.Getenv("SLIPWAY_URL"), c.Getenv("SYSTEM_COLLECTIONURI")} {
		if u, err := url.Parse(own); err == nil && strings.EqualFold(u.Host, named.Host) {
			return nil
		}
	}
	return slipway.Unsupported("--organization %s is another server: Slipway's az works on this one, leave it out or write $(System.CollectionUri)", organization)
}

// api calls the REST API below the project and decodes the answer into out.
func (c *call) api(method, path string, query url.Values, body, out any) error {
	project, err := c.teamProject()
	if err != nil {
		return err
	}
	token, err := c.token()
	if err != nil {
		return err
	}
	return c.request(method, url.PathEscape(project)+"/_apis/"+path, query, body, out, basic(token))
}

func basic(token string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth("", token) }
}

// jobAPI calls the agents' door with the job's own token.
func (c *call) jobAPI(path string, out any) error {
	token := c.Getenv("SLIPWAY_JOB_TOKEN")
	return c.request("POST", path, nil, nil, out, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) })
}

func (c *call) request(method, path string, query url.Values, body, out any, sign func(*http.Request)) error {
	base, err := url.Parse(c.Getenv("SLIPWAY_URL"))
	if err != nil || base.Host == "" {
		return slipway.Unavailable("no server is named: SLIPWAY_URL is set in Slipway's jobs only")
	}
	address := base.JoinPath(path)
	address.RawQuery = query.Encode()
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("write the request: %w", err)
		}
		content = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(c.ctx, method, address.String(), content)
	if err != nil {
		return fmt.Errorf("make the request: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	sign(r)
	answer, err := (&http.Client{Timeout: requestTimeout}).Do(r)
	if err != nil {
		return slipway.Unavailable("the server cannot be reached").Because(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	if err != nil {
		return slipway.Unavailable("the server's answer did not arrive whole").Because(err)
	}
	if len(b) > maxAnswer {
		return slipway.Limit("the server's answer is larger than %d bytes: ask for less with --top", maxAnswer)
	}
	if answer.StatusCode/100 != 2 {
		return problem(answer, b)
	}
	if out == nil {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber() // numbers of runs are compared as text
	if err := d.Decode(out); err != nil {
		return fmt.Errorf("read the server's answer to %s %s: %w", method, address.Path, err)
	}
	return nil
}

// one is api for an answer that is one object.
func (c *call) one(method, path string, body any) (map[string]any, error) {
	var out map[string]any
	err := c.api(method, path, nil, body, &out)
	return out, err
}

// problem is what the server says is wrong.
func problem(answer *http.Response, body []byte) error {
	var p struct {
		Code    slipway.Code
		Message string
	}
	if json.Unmarshal(body, &p) != nil || p.Message == "" {
		return slipway.Unavailable("the server answered %s", answer.Status)
	}
	return &slipway.Problem{Code: p.Code, Message: p.Message}
}

// defaultsPath is where `az devops configure` keeps them: the extension's own file in the Azure CLI's folder.
func (p Program) defaultsPath() string {
	folder := p.Getenv("AZURE_CONFIG_DIR")
	if folder == "" {
		folder = filepath.Join(cmp.Or(p.Getenv("HOME"), os.TempDir()), ".azure")
	}
	return filepath.Join(folder, "azuredevops", "config")
}

// defaults are those of `az devops configure`; a file that cannot be read holds none.
func (p Program) defaults() map[string]string {
	out := map[string]string{}
	b, err := os.ReadFile(p.defaultsPath())
	if err != nil {
		return out
	}
	section := ""
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			section = strings.Trim(line, "[]")
		} else if name, value, ok := strings.Cut(line, "="); ok && section == "defaults" {
			out[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	return out
}

func (c *call) devOpsConfigure() (any, error) {
	defaults := c.defaults()
	for _, pair := range c.list("defaults") {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name != "organization" && name != "project" {
			return nil, usagef("argument --defaults/-d: %q: write organization=URL or project=NAME", pair)
		}
		if strings.ContainsAny(value, "\n\r") {
			return nil, usagef("argument --defaults/-d: the value of %s has a line break", name)
		}
		if name == "organization" {
			if err := c.sameServer(value); err != nil {
				return nil, err
			}
		}
		defaults[name] = value
	}
	text := "[defaults]\n"
	for _, name := range []string{"organization", "project"} {
		if defaults[name] != "" {
			text += name + " = " + defaults[name] + "\n"
		}
	}
	if c.given("list") {
		_, err := io.WriteString(c.Stdout, text)
		return nil, err
	}
	path := c.defaultsPath()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("keep the defaults: %w", err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("keep the defaults: %w", err)
	}
	return nil, nil
}
