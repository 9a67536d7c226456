package az

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"regexp"
	"strings"

	"slipway"
)

// devOpsCommands are those of `az devops`.
var devOpsCommands = []command{
	{name: "devops project list", doc: "Lists the projects that the token reaches.", options: devOpsOptions(topOption), run: (*call).projects},
	{name: "devops project show", doc: "Shows a project.", options: devOpsOptions(), run: (*call).showProject},
	{name: "devops service-endpoint list", doc: "Lists the project's service connections.", options: devOpsOptions(), run: (*call).endpoints},
	{name: "devops service-endpoint show", doc: "Shows a service connection.", options: devOpsOptions(option{names: []string{"--id"}, need: true}), run: (*call).endpoint},
	{name: "devops invoke", doc: "Calls the REST API.", options: devOpsOptions(option{names: []string{"--area"}, need: true}, option{names: []string{"--resource"}, need: true},
		option{names: []string{"--route-parameters"}, kind: list, doc: "NAME=VALUE ... of the path"}, option{names: []string{"--query-parameters"}, kind: list, doc: "NAME=VALUE ... of the query"},
		option{names: []string{"--http-method"}, doc: "GET, POST, PUT, PATCH, DELETE, ..."}, option{names: []string{"--in-file"}, doc: "the file of the body"}, option{names: []string{"--api-version"}, doc: "changes nothing"},
		option{names: []string{"--media-type"}, doc: "application/json"}, option{names: []string{"--accept-media-type"}, doc: "application/json"}, option{names: []string{"--encoding"}, doc: "utf-8"},
		option{names: []string{"--out-file"}, doc: "a file for the answer"}), run: (*call).invoke},
}

// wholeServer calls the REST API of the whole server.
func (c *call) wholeServer(method, path string, query url.Values, body, out any) error {
	if err := c.sameServer(c.text("organization")); err != nil {
		return err
	}
	token, err := c.token()
	if err != nil {
		return err
	}
	return c.request(method, path, query, body, out, basic(token))
}

func (c *call) projects() (any, error) {
	var out map[string]any
	err := c.wholeServer("GET", "_apis/projects", nil, nil, &out)
	return out, err
}

func (c *call) showProject() (any, error) {
	name, err := c.teamProject()
	if err != nil {
		return nil, err
	}
	var out map[string]any
	err = c.wholeServer("GET", "_apis/projects/"+url.PathEscape(name), nil, nil, &out)
	return out, err
}

func (c *call) endpoints() (any, error) { return c.listed("GET", "serviceendpoint/endpoints", nil) }

func (c *call) endpoint() (any, error) {
	return c.one("GET", "serviceendpoint/endpoints/"+url.PathEscape(c.text("id")), nil)
}

// maxInvokeBody bounds the body of a call, in bytes.
const maxInvokeBody = 16 << 20

// invoke calls any resource of the REST API by its area and name, as clients find it: by the routes that the server lists.
func (c *call) invoke() (any, error) {
	path, err := c.route()
	if err != nil {
		return nil, err
	}
	query := url.Values{}
	pairs, err := c.pairs("query-parameters")
	if err != nil {
		return nil, err
	}
	for name, value := range pairs {
		query.Set(name, value)
	}
	body, err := c.invokeBody()
	if err != nil {
		return nil, err
	}
	method := strings.ToUpper(c.text("http-method"))
	if method == "" {
		method = "GET"
	}
	var out any
	if err := c.wholeServer(method, path, query, body, &out); err != nil && !errors.Is(err, io.EOF) { // an answer without a body
		return nil, err
	}
	file := c.text("out-file")
	if file == "" || out == nil {
		return out, nil
	}
	text, err := json.MarshalIndent(out, "", "  ")
	if err == nil {
		err = os.WriteFile(file, append(text, '\n'), 0o644)
	}
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", file, err)
	}
	return nil, nil
}

func (c *call) invokeBody() (any, error) {
	file := c.text("in-file")
	if file == "" {
		return nil, nil
	}
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("read --in-file: %w", err)
	}
	if info.Size() > maxInvokeBody {
		return nil, slipway.Limit("--in-file %s has more than %d bytes", file, maxInvokeBody)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read --in-file: %w", err)
	}
	if !json.Valid(text) {
		return nil, usagef("--in-file %s is no JSON", file)
	}
	return json.RawMessage(text), nil
}

var routeParameter = regexp.MustCompile(`\{[^}]*\}`)

// route is the path of the resource: of the routes that have its name the longest whose parameters are all given, but for those at the end.
func (c *call) route() (string, error) {
	given, err := c.pairs("route-parameters")
	if err != nil {
		return "", err
	}
	values := map[string]string{}
	for name, value := range given {
		values[strings.ToLower(name)] = value
	}
	if values["project"] == "" {
		if name, err := c.teamProject(); err == nil {
			values["project"] = name
		}
	}
	var found struct {
		Value []struct {
			Area     string `json:"area"`
			Resource string `json:"resourceName"`
			Template string `json:"routeTemplate"`
		} `json:"value"`
	}
	if err := c.wholeServer("OPTIONS", "_apis/"+url.PathEscape(c.text("area")), nil, nil, &found); err != nil {
		return "", err
	}
	best, filled := "", -1
	for _, l := range found.Value {
		if !strings.EqualFold(l.Area, c.text("area")) || !strings.EqualFold(l.Resource, c.text("resource")) {
			continue
		}
		if path, n, ok := fillRoute(l.Template, values); ok && n > filled {
			best, filled = path, n
		}
	}
	if best == "" {
		return "", slipway.NotFound("there is no resource %s of the area %s that has these route parameters: docs/clients.md lists the resources", c.text("resource"), c.text("area"))
	}
	return best, nil
}

// fillRoute puts values into a route; what is not given at its end is left out. n is how many were used.
func fillRoute(template string, values map[string]string) (path string, n int, ok bool) {
	parts := strings.Split(template, "/")
	for i, part := range parts {
		name := strings.ToLower(strings.Trim(part, "{*}"))
		if !routeParameter.MatchString(part) {
			continue
		}
		if value := values[name]; value != "" {
			parts[i] = url.PathEscape(value)
			n++
			continue
		}
		if i != len(parts)-1 {
			return "", 0, false
		}
		parts = parts[:i]
	}
	return strings.Join(parts, "/"), n, true
}
