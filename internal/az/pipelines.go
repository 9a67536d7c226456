package az

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"slipway"
)

var (
	idOption     = option{names: []string{"--id"}, doc: "the number"}
	buildOption  = option{names: []string{"--id", "--build-id"}, doc: "the run's number", need: true}
	nameOption   = option{names: []string{"--name"}, doc: "the pipeline's name"}
	folderOption = option{names: []string{"--folder-path"}, doc: `\ alone: pipelines have no folders`}
	branchOption = option{names: []string{"--branch", "-b"}, doc: "the branch; the default branch without it"}
)

// runFilters are the options of the commands that list runs.
var runFilters = []option{
	{names: []string{"--pipeline-ids", "--definition-ids"}, kind: list, doc: "of these pipelines"}, branchOption,
	{names: []string{"--status"}, doc: "notStarted, inProgress or completed"}, {names: []string{"--result"}, doc: "succeeded, partiallySucceeded, failed or canceled"},
	{names: []string{"--reason"}, doc: "manual, individualCI, schedule, ..."}, topOption, {names: []string{"--query-order"}},
}

var pipelineCommands = []command{
	{name: "pipelines list", doc: "Lists the project's pipelines.", options: devOpsOptions(option{names: []string{"--name"}, doc: "of that name, * is any text"}, topOption, folderOption), run: (*call).pipelines},
	{name: "pipelines show", doc: "Shows a pipeline.", options: devOpsOptions(idOption, nameOption, folderOption), run: (*call).pipeline},
	{name: "pipelines run", doc: "Starts a run.", options: devOpsOptions(idOption, nameOption, folderOption, branchOption, option{names: []string{"--commit-id"}},
		option{names: []string{"--variables"}, kind: list, doc: "NAME=VALUE ..."}, option{names: []string{"--parameters"}, kind: list, doc: "NAME=VALUE ..."}), run: (*call).queue},
	{name: "pipelines runs list", doc: "Lists runs, the newest first.", options: devOpsOptions(runFilters...), run: (*call).runs},
	{name: "pipelines runs show", doc: "Shows a run.", options: devOpsOptions(buildOption), run: (*call).showRun},
	{name: "pipelines build list", doc: "Lists runs, the newest first.", options: devOpsOptions(runFilters...), run: (*call).runs},
	{name: "pipelines build show", doc: "Shows a run.", options: devOpsOptions(buildOption), run: (*call).showRun},
	{name: "pipelines build queue", doc: "Starts a run.", options: devOpsOptions(option{names: []string{"--id", "--definition-id"}}, option{names: []string{"--name", "--definition-name"}},
		folderOption, branchOption, option{names: []string{"--commit-id", "--source-version"}}, option{names: []string{"--variables"}, kind: list}), run: (*call).queue},
	{name: "pipelines build cancel", doc: "Cancels a run.", options: devOpsOptions(buildOption), run: (*call).cancel},
	{name: "pipelines create", doc: "Makes a pipeline of a file, and starts a run of it.", options: devOpsOptions(option{names: []string{"--name"}, need: true},
		option{names: []string{"--repository"}, doc: "the repository's name", need: true}, option{names: []string{"--yml-path", "--yaml-path"}, doc: "the file", need: true},
		option{names: []string{"--repository-type"}, doc: "tfsgit"}, option{names: []string{"--skip-first-run", "--skip-run"}, kind: flag}, branchOption, folderOption,
		option{names: []string{"--description"}, doc: "changes nothing"}), run: (*call).create},
}

// envelope is Azure DevOps' form of a list.
type envelope struct {
	Value []map[string]any `json:"value"`
}

func (c *call) noFolder() error {
	if f := strings.Trim(c.text("folder-path"), `\/`); f != "" {
		return slipway.Unsupported("--folder-path %s: pipelines have no folders here, leave it out", f)
	}
	return nil
}

func (c *call) pipelines() (any, error) {
	if err := c.noFolder(); err != nil {
		return nil, err
	}
	var found envelope
	query := url.Values{}
	if name := c.text("name"); name != "" {
		query.Set("name", name)
	}
	if err := c.api("GET", "build/definitions", query, nil, &found); err != nil {
		return nil, err
	}
	n, err := c.number("top", len(found.Value))
	return found.Value[:min(n, len(found.Value))], err
}

// pipelineID is the pipeline that --id or --name means.
func (c *call) pipelineID() (string, error) {
	if err := c.noFolder(); err != nil {
		return "", err
	}
	if id := c.text("id"); id != "" {
		_, err := c.number("id", 0)
		return id, err
	}
	name := c.text("name")
	if name == "" {
		return "", usagef("either --id or --name must be given")
	}
	var found envelope
	if err := c.api("GET", "build/definitions", url.Values{"name": {name}}, nil, &found); err != nil {
		return "", err
	}
	if len(found.Value) != 1 {
		return "", slipway.NotFound("there are %d pipelines of the name %q: name one by --id, az pipelines list shows them", len(found.Value), name)
	}
	return fmt.Sprint(found.Value[0]["id"]), nil
}

func (c *call) pipeline() (any, error) {
	id, err := c.pipelineID()
	if err != nil {
		return nil, err
	}
	return c.one("GET", "build/definitions/"+id, nil)
}

// fullRef is a branch by its full name.
func fullRef(branch string) string {
	if branch == "" || strings.HasPrefix(branch, "refs/") {
		return branch
	}
	return "refs/heads/" + branch
}

// pairs reads NAME=VALUE.
func (c *call) pairs(name string) (map[string]string, error) {
	out := map[string]string{}
	for _, pair := range c.list(name) {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return nil, usagef("argument --%s: %q: write NAME=VALUE", name, pair)
		}
		out[key] = value
	}
	return out, nil
}

func (c *call) queue() (any, error) {
	id, err := c.pipelineID()
	if err != nil {
		return nil, err
	}
	variables, err := c.pairs("variables")
	if err != nil {
		return nil, err
	}
	parameters, err := c.pairs("parameters")
	if err != nil {
		return nil, err
	}
	values := map[string]any{}
	for name, value := range variables {
		values[name] = map[string]string{"value": value}
	}
	body := map[string]any{"variables": values, "templateParameters": parameters}
	self := map[string]string{}
	if ref := fullRef(c.text("branch")); ref != "" {
		self["refName"] = ref
	}
	if commit := c.text("commit-id"); commit != "" {
		self["version"] = commit
	}
	if len(self) > 0 {
		body["resources"] = map[string]any{"repositories": map[string]any{"self": self}}
	}
	return c.one("POST", "pipelines/"+id+"/runs", body)
}

// filtered is how many runs are looked through when the server cannot choose them by itself.
const filtered = 1000

func (c *call) runs() (any, error) {
	top, err := c.number("top", 50)
	if err != nil {
		return nil, err
	}
	ids := c.list("pipeline-ids")
	query := url.Values{}
	if order := c.text("query-order"); order != "" && !strings.EqualFold(order, "QueueTimeDesc") && !strings.EqualFold(order, "StartTimeDesc") {
		return nil, slipway.Unsupported("--query-order %s: runs come with the newest first, leave it out", order)
	}
	if len(ids) == 1 {
		query.Set("definitions", ids[0])
	}
	if ref := fullRef(c.text("branch")); ref != "" {
		query.Set("branchName", ref)
	}
	wanted := map[string]string{"status": c.text("status"), "result": c.text("result"), "reason": c.text("reason")}
	choose := wanted["status"] != "" || wanted["result"] != "" || wanted["reason"] != "" || len(ids) > 1
	query.Set("$top", strconv.Itoa(top))
	if choose {
		query.Set("$top", strconv.Itoa(max(top, filtered)))
	}
	var found envelope
	if err := c.api("GET", "build/builds", query, nil, &found); err != nil {
		return nil, err
	}
	list := slices.DeleteFunc(found.Value, func(run map[string]any) bool {
		for field, want := range wanted {
			if got, _ := run[field].(string); want != "" && want != "all" && !strings.EqualFold(got, want) {
				return true
			}
		}
		definition, _ := run["definition"].(map[string]any)
		return len(ids) > 1 && !slices.Contains(ids, fmt.Sprint(definition["id"]))
	})
	return list[:min(top, len(list))], nil
}

func (c *call) build(method string, body any) (any, error) {
	if _, err := c.number("id", 0); err != nil {
		return nil, err
	}
	return c.one(method, "build/builds/"+c.text("id"), body)
}

func (c *call) showRun() (any, error) { return c.build("GET", nil) }

func (c *call) cancel() (any, error) {
	return c.build("PATCH", map[string]string{"status": "cancelling"})
}

func (c *call) create() (any, error) {
	if err := c.noFolder(); err != nil {
		return nil, err
	}
	if kind := cmp.Or(c.text("repository-type"), "tfsgit"); !strings.EqualFold(kind, "tfsgit") {
		return nil, slipway.Unsupported("--repository-type %s: a pipeline is of a repository of this server, write tfsgit or leave it out", kind)
	}
	body := map[string]any{"name": c.text("name"), "configuration": map[string]any{"type": "yaml", "path": c.text("yml-path"),
		"repository": map[string]any{"name": c.text("repository"), "type": "azureReposGit"}}}
	out, err := c.one("POST", "pipelines", body)
	if err != nil || c.flag("skip-first-run") {
		return out, err
	}
	c.values["id"] = []string{fmt.Sprint(out["id"])}
	return c.queue()
}
