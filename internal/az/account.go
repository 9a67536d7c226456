package az

import (
	"cmp"
	"strings"

	"slipway"
)

const (
	// compatibleDevOps is the release of the extension azure-devops whose commands are understood.
	compatibleDevOps = "1.0.2"
	// devOpsResource is the application that scripts name when they want a token for Azure DevOps
	// (learn.microsoft.com, "Use Microsoft Entra tokens"): here the job's token is one.
	devOpsResource = "499b84ac-1321-427f-aa17-267ca6975798"
	noID           = "00000000-0000-0000-0000-000000000000"
)

// loginOptions are those of `az login`, none of which changes anything.
var loginOptions = []option{
	{names: []string{"--username", "-u"}}, {names: []string{"--password", "-p"}}, {names: []string{"--tenant", "-t"}},
	{names: []string{"--service-principal"}, kind: flag}, {names: []string{"--identity", "-i"}, kind: flag},
	{names: []string{"--federated-token"}}, {names: []string{"--certificate"}}, {names: []string{"--client-id"}},
	{names: []string{"--object-id"}}, {names: []string{"--resource-id"}}, {names: []string{"--allow-no-subscriptions"}, kind: flag},
	{names: []string{"--use-device-code"}, kind: flag}, {names: []string{"--use-cert-sn-issuer"}, kind: flag},
	{names: []string{"--scope"}}, {names: []string{"--claims-challenge"}},
}

var accountCommands = []command{
	{name: "version", doc: "Shows which release of the Azure CLI this az is like.", run: (*call).version},
	{name: "login", doc: "Changes nothing: the job's own token is used.", options: loginOptions, run: (*call).login},
	{name: "logout", doc: "Changes nothing: the job's token ends with the job.", options: []option{{names: []string{"--username"}}},
		run: silent("az logout changes nothing: the job's token ends with the job.")},
	{name: "account show", doc: "Shows the job's project as a subscription.", options: []option{{names: []string{"--name", "-n", "-s"}}}, run: (*call).account},
	{name: "account list", doc: "Lists the job's project as the one subscription.", options: []option{
		{names: []string{"--all"}, kind: flag}, {names: []string{"--refresh"}, kind: flag}}, run: (*call).accounts},
	{name: "account set", doc: "Changes nothing: there is one subscription.", options: []option{{names: []string{"--name", "-n", "-s"}}},
		run: (*call).accountSet},
	{name: "account clear", doc: "Changes nothing.", run: silent("")},
	{name: "account get-access-token", doc: "Shows the job's token, for Azure DevOps' resource.", options: []option{
		{names: []string{"--resource"}, doc: "the application that the token is for"}, {names: []string{"--scope"}, kind: list, doc: "the same as a scope"},
		{names: []string{"--resource-type"}}, {names: []string{"--tenant", "-t"}}, {names: []string{"--name", "-n", "-s"}}}, run: (*call).accessToken},
	{name: "cloud set", doc: "Changes nothing.", options: []option{{names: []string{"--name", "-n"}, need: true}, {names: []string{"--profile"}}}, run: silent("")},
	{name: "config set", doc: "Changes nothing: this az has no such settings.", options: []option{{names: []string{"--local"}, kind: flag}},
		positional: "NAME=VALUE", run: silent("az config set changes nothing: Slipway's az has no settings.")},
	{name: "configure", doc: "Changes nothing: this az has no such settings.", options: []option{
		{names: []string{"--defaults", "-d"}, kind: list}, {names: []string{"--list-defaults", "-l"}, kind: flag}, {names: []string{"--scope"}}},
		run: silent("az configure changes nothing: Slipway's az has no defaults.")},
	{name: "extension add", doc: "Changes nothing for azure-devops, which is built in.", options: []option{
		{names: []string{"--name", "-n"}}, {names: []string{"--source", "-s"}}, {names: []string{"--version"}}, {names: []string{"--upgrade", "-U"}, kind: flag},
		{names: []string{"--yes", "-y"}, kind: flag}, {names: []string{"--system"}, kind: flag}, {names: []string{"--allow-preview"}},
		{names: []string{"--pip-proxy"}}, {names: []string{"--pip-extra-index-urls"}, kind: list}}, run: (*call).extension},
	{name: "extension update", doc: "Changes nothing for azure-devops, which is built in.", options: []option{
		{names: []string{"--name", "-n"}, need: true}, {names: []string{"--allow-preview"}}}, run: (*call).extension},
	{name: "extension show", doc: "Shows the built-in azure-devops.", options: []option{{names: []string{"--name", "-n"}, need: true}}, run: (*call).extensionShow},
	{name: "extension list", doc: "Lists the built-in azure-devops.", run: func(*call) (any, error) { return []any{devOpsExtension()}, nil }},
	{name: "devops login", doc: "Changes nothing: the job's token is used, or AZURE_DEVOPS_EXT_PAT.", options: []option{
		{names: []string{"--organization", "--org"}}}, run: silent("az devops login changes nothing: the job's token is used, or the one in AZURE_DEVOPS_EXT_PAT.")},
	{name: "devops logout", doc: "Changes nothing.", options: []option{{names: []string{"--organization", "--org"}}}, run: silent("")},
	{name: "devops configure", doc: "Sets the project for the following commands.", options: []option{
		{names: []string{"--defaults", "-d"}, kind: list, doc: "organization=URL project=NAME"}, {names: []string{"--list", "-l"}, kind: flag, doc: "show them"},
		{names: []string{"--use-git-aliases"}}}, run: (*call).devOpsConfigure},
}

// silent is a command that does nothing, with a sentence about it.
func silent(sentence string) func(*call) (any, error) {
	return func(c *call) (any, error) {
		if sentence != "" {
			c.note("%s", sentence)
		}
		return nil, nil
	}
}

func (c *call) version() (any, error) {
	return map[string]any{"azure-cli": compatible, "azure-cli-core": compatible, "extensions": map[string]string{"azure-devops": compatibleDevOps}}, nil
}

func (c *call) login() (any, error) {
	c.note("There is no Azure behind this server: az works with the job's own token, and az login changes nothing.")
	return c.accounts()
}

// account is the job's project in the form of a subscription.
func (c *call) account() (any, error) {
	c.noteSubscription()
	id := cmp.Or(c.Getenv("SYSTEM_TEAMPROJECTID"), noID)
	return map[string]any{"environmentName": "Slipway", "homeTenantId": noID, "id": id, "isDefault": true, "managedByTenants": []any{},
		"name": c.Getenv("SYSTEM_TEAMPROJECT"), "state": "Enabled", "tenantId": noID, "user": map[string]any{"name": "job", "type": "servicePrincipal"}}, nil
}

// noteSubscription notes that a subscription by another name is the same one here.
func (c *call) noteSubscription() {
	if s := c.text("name"); s != "" && s != c.Getenv("SYSTEM_TEAMPROJECTID") && !strings.EqualFold(s, c.Getenv("SYSTEM_TEAMPROJECT")) {
		c.note("The subscription %s is not known here: the job's project stands in its place.", s)
	}
}

func (c *call) accounts() (any, error) {
	a, err := c.account()
	return []any{a}, err
}

func (c *call) accountSet() (any, error) {
	c.noteSubscription()
	return nil, nil
}

func (c *call) accessToken() (any, error) {
	resource := strings.TrimSuffix(cmp.Or(c.text("resource"), strings.TrimSuffix(c.text("scope"), "/.default")), "/")
	if resource != devOpsResource && resource != "https://app.vssps.visualstudio.com" {
		return nil, slipway.Unsupported("there is no Azure behind this server, so there is no token for %s: az has one for Azure DevOps alone (--resource %s), and others come from a secret variable",
			cmp.Or(resource, "Azure's resource manager"), devOpsResource)
	}
	token, err := c.token()
	return map[string]any{"accessToken": token, "subscription": cmp.Or(c.Getenv("SYSTEM_TEAMPROJECTID"), noID), "tenant": noID, "tokenType": "Bearer"}, err
}

// token is what the REST API takes: one that the script gives by the azure-devops extension's own variable, or the job's.
func (c *call) token() (string, error) {
	if t := cmp.Or(c.Getenv("AZURE_DEVOPS_EXT_PAT"), c.Getenv("SLIPWAY_JOB_TOKEN")); t != "" {
		return t, nil
	}
	return "", slipway.Unauthenticated("there is no token: az works in Slipway's jobs, or with AZURE_DEVOPS_EXT_PAT in the environment")
}

func (c *call) extension() (any, error) {
	if name := c.text("name"); name != "azure-devops" {
		return nil, slipway.Unsupported("the extension %s cannot be installed into Slipway's az: name a container image that has the Azure CLI, whose az then comes first",
			cmp.Or(name, c.text("source")))
	}
	c.note("The extension azure-devops is built in.")
	return nil, nil
}

func devOpsExtension() any {
	return map[string]any{"name": "azure-devops", "version": compatibleDevOps, "extensionType": "built in", "preview": false}
}

func (c *call) extensionShow() (any, error) {
	if name := c.text("name"); name != "azure-devops" {
		return nil, slipway.NotFound("the extension %s is not installed", name)
	}
	return devOpsExtension(), nil
}
