package az

import (
	"fmt"
	"net/url"
	"strings"

	"slipway"
)

var (
	groupOption     = option{names: []string{"--group-id", "--id"}, doc: "the group's number", need: true}
	authorizeOption = option{names: []string{"--authorize"}, kind: flag, doc: "false alone: which pipelines may use a group is set on its page"}
	variableName    = option{names: []string{"--name"}, doc: "the variable", need: true}
	variableSecret  = option{names: []string{"--secret"}, kind: flag, doc: "whether the variable is secret"}
	variableValue   = option{names: []string{"--value"}, doc: "its value; for a secret one AZURE_DEVOPS_EXT_PIPELINE_VAR_NAME of the environment, too"}
)

// groupCommands are about variable groups. Changing one takes the token of an administrator of the project.
var groupCommands = []command{
	{name: "pipelines variable-group list", doc: "Lists variable groups.", options: devOpsOptions(option{names: []string{"--group-name"}, doc: "of that name, * is any text"}, topOption,
		option{names: []string{"--action-filter"}, doc: "changes nothing"}, option{names: []string{"--query-order"}, doc: "Asc or Desc"}), run: (*call).groups},
	{name: "pipelines variable-group show", doc: "Shows a variable group.", options: devOpsOptions(groupOption), run: (*call).group},
	{name: "pipelines variable-group create", doc: "Makes a variable group.", options: devOpsOptions(option{names: []string{"--name"}, need: true}, option{names: []string{"--variables"}, kind: list, need: true, doc: "NAME=VALUE ..."},
		option{names: []string{"--description"}}, authorizeOption), run: (*call).createGroup},
	{name: "pipelines variable-group update", doc: "Changes the name or description of a variable group.", options: devOpsOptions(groupOption, option{names: []string{"--name"}}, option{names: []string{"--description"}}, authorizeOption), run: (*call).updateGroup},
	{name: "pipelines variable-group delete", doc: "Deletes a variable group.", options: devOpsOptions(groupOption, yesOption), run: (*call).deleteGroup},
	{name: "pipelines variable-group variable list", doc: "Lists the variables of a group.", options: devOpsOptions(groupOption), run: (*call).groupVariables},
	{name: "pipelines variable-group variable create", doc: "Adds a variable to a group.", options: devOpsOptions(groupOption, variableName, variableSecret, variableValue), run: (*call).createGroupVariable},
	{name: "pipelines variable-group variable update", doc: "Changes a variable of a group.", options: devOpsOptions(groupOption, variableName, variableSecret, variableValue, option{names: []string{"--new-name"}}), run: (*call).updateGroupVariable},
	{name: "pipelines variable-group variable delete", doc: "Removes a variable from a group.", options: devOpsOptions(groupOption, variableName, yesOption), run: (*call).deleteGroupVariable},
}

const groupsPath = "distributedtask/variablegroups"

func (c *call) groups() (any, error) {
	query := url.Values{}
	if name := c.text("group-name"); name != "" {
		query.Set("groupName", name)
	}
	if strings.EqualFold(c.text("query-order"), "asc") {
		query.Set("queryOrder", "idAscending")
	}
	if top, err := c.number("top", 0); err != nil {
		return nil, err
	} else if top > 0 {
		query.Set("$top", fmt.Sprint(top))
	}
	var found envelope
	err := c.api("GET", groupsPath, query, nil, &found)
	return found.Value, err
}

func (c *call) groupPath() (string, error) {
	_, err := c.number("group-id", 0)
	return groupsPath + "/" + c.text("group-id"), err
}

func (c *call) group() (any, error) { return c.readGroup() }

func (c *call) readGroup() (map[string]any, error) {
	path, err := c.groupPath()
	if err != nil {
		return nil, err
	}
	return c.one("GET", path, nil)
}

func (c *call) noAuthorize() error {
	if c.flag("authorize") {
		return slipway.Unsupported("--authorize true: which pipelines may use a variable group is set on its page, or by PATCH of pipelines/pipelinePermissions/variablegroup/ID")
	}
	return nil
}

func (c *call) createGroup() (any, error) {
	variables, err := c.pairs("variables")
	if err == nil {
		err = c.noAuthorize()
	}
	if err != nil {
		return nil, err
	}
	values := map[string]any{}
	for name, value := range variables {
		values[name] = map[string]any{"value": value}
	}
	return c.one("POST", groupsPath, map[string]any{"name": c.text("name"), "description": c.text("description"), "type": "Vsts", "variables": values})
}

// changeGroup sends a group back with what change does to it.
func (c *call) changeGroup(change func(group, variables map[string]any) error) (map[string]any, error) {
	group, err := c.readGroup()
	if err != nil {
		return nil, err
	}
	variables, _ := group["variables"].(map[string]any)
	if variables == nil {
		variables = map[string]any{}
	}
	if err := change(group, variables); err != nil {
		return nil, err
	}
	path, err := c.groupPath()
	if err != nil {
		return nil, err
	}
	return c.one("PUT", path, map[string]any{"name": group["name"], "description": group["description"], "type": "Vsts", "variables": variables})
}

func (c *call) updateGroup() (any, error) {
	if err := c.noAuthorize(); err != nil {
		return nil, err
	}
	return c.changeGroup(func(group, _ map[string]any) error {
		for _, field := range []string{"name", "description"} {
			if c.given(field) {
				group[field] = c.text(field)
			}
		}
		return nil
	})
}

func (c *call) deleteGroup() (any, error) {
	path, err := c.groupPath()
	if err != nil {
		return nil, err
	}
	return nil, c.api("DELETE", path, nil, nil, nil)
}

func (c *call) groupVariables() (any, error) {
	group, err := c.readGroup()
	return group["variables"], err
}

// variable finds a variable whose name differs at most in letters' case; ok is false without one.
func variable(variables map[string]any, name string) (key string, value map[string]any, ok bool) {
	for key, found := range variables {
		if strings.EqualFold(key, name) {
			value, ok := found.(map[string]any)
			return key, value, ok
		}
	}
	return name, nil, false
}

// secretValue is the value of a secret, which need not stand on the command line.
func (c *call) secretValue() (string, bool) {
	if c.given("value") {
		return c.text("value"), true
	}
	value := c.Getenv("AZURE_DEVOPS_EXT_PIPELINE_VAR_" + c.text("name"))
	return value, value != ""
}

func (c *call) createGroupVariable() (any, error) {
	value, ok := c.secretValue()
	if !ok {
		return nil, usagef("the following arguments are required: --value, or AZURE_DEVOPS_EXT_PIPELINE_VAR_%s in the environment", c.text("name"))
	}
	made := map[string]any{"value": value, "isSecret": c.flag("secret")}
	_, err := c.changeGroup(func(_, variables map[string]any) error {
		if key, _, there := variable(variables, c.text("name")); there {
			return slipway.Conflict("variable %q is in the group already: write az pipelines variable-group variable update", key)
		}
		variables[c.text("name")] = made
		return nil
	})
	return c.shownVariable(c.text("name"), made), err
}

// shownVariable is a variable as it is printed: a secret without its value.
func (c *call) shownVariable(name string, v map[string]any) map[string]any {
	shown := map[string]any{"value": v["value"], "isSecret": nil}
	if v["isSecret"] == true {
		shown = map[string]any{"value": nil, "isSecret": true}
	}
	return map[string]any{name: shown}
}

func (c *call) noVariable() error {
	return slipway.NotFound("there is no variable %q in the group: az pipelines variable-group variable list shows those that are", c.text("name"))
}

func (c *call) updateGroupVariable() (any, error) {
	name, v := c.text("name"), map[string]any{}
	_, err := c.changeGroup(func(_, variables map[string]any) error {
		key, old, there := variable(variables, name)
		if !there {
			return c.noVariable()
		}
		delete(variables, key)
		if name = key; c.given("new-name") {
			name = c.text("new-name")
		}
		v["isSecret"], v["value"] = old["isSecret"] == true, old["value"]
		if c.given("secret") {
			v["isSecret"] = c.flag("secret")
		}
		if value, ok := c.secretValue(); ok {
			v["value"] = value
		}
		if old["isSecret"] == true && (v["value"] == nil && (v["isSecret"] == false || name != key)) {
			return usagef("the value of a secret is not told: give --value, too")
		}
		variables[name] = v
		return nil
	})
	return c.shownVariable(name, v), err
}

func (c *call) deleteGroupVariable() (any, error) {
	_, err := c.changeGroup(func(_, variables map[string]any) error {
		key, _, there := variable(variables, c.text("name"))
		if !there {
			return c.noVariable()
		}
		delete(variables, key)
		return nil
	})
	return nil, err
}
