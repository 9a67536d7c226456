package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/variable"
)

// The environment of uploaded tasks, as the handlers of Azure's agent make it (microsoft/azure-pipelines-agent,
// src/Agent.Worker/Handlers/Handler.cs).

// fill makes what the task's program gets beside the environment of every step.
func (u *uploaded) fill() error {
	u.ownConnection()
	for i := range u.manifest.Inputs {
		in := &u.manifest.Inputs[i]
		value, err := u.value(in.Name, in.Type)
		if err != nil {
			return fmt.Errorf("input %s: %w", in.Name, err)
		}
		u.env["INPUT_"+azureName(in.Name)] = value
	}
	return u.fillVariables()
}

// value is an input as the task gets it.
func (u *uploaded) value(name, kind string) (string, error) {
	value := strings.TrimSpace(u.input(u.plan.Inputs[name]))
	switch {
	case strings.EqualFold(kind, "filePath"):
		return u.filePath(value), nil
	case value == "":
		return "", nil
	case slices.Contains(u.plan.Package.Connections, name) && !strings.Contains(value, "://"):
		return u.each(value, u.namedConnection)
	case slices.Contains(u.plan.Package.SecureFiles, name):
		return u.each(value, u.secureFile)
	}
	return value, nil
}

// filePath is a path below the sources, which is also what an empty one means.
func (u *uploaded) filePath(path string) string {
	if path = strings.ReplaceAll(path, `\`, "/"); filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(u.folders.sources, path)
}

// each replaces the names in a list, which commas part, by ids.
func (u *uploaded) each(value string, find func(name string) (id string, err error)) (string, error) {
	var ids []string
	for _, name := range strings.Split(value, ",") {
		id, err := find(strings.TrimSpace(name))
		if err != nil {
			return "", err
		}
		ids = append(ids, id)
	}
	return strings.Join(ids, ","), nil
}

// secureFile tells the task of a secure file, which it fetches by the server's REST API. The job's token opens it; the ticket, for
// which tasks ask, only has to be there.
func (u *uploaded) secureFile(name string) (string, error) {
	var file job.SecureFile
	err := u.client.again(u.ctx, func() error { return u.askSecureFile(name, requestTimeout, &file) })
	if err != nil {
		return "", fmt.Errorf("secure file %q: %w", name, err)
	}
	u.env["SECUREFILE_NAME_"+file.ID] = file.Name
	u.env["SECUREFILE_TICKET_"+file.ID] = file.ID
	return file.ID, nil
}

// ownConnection tells the task how to reach this server, with the job's token.
func (u *uploaded) ownConnection() {
	u.endpoint("SYSTEMVSSCONNECTION", job.Connection{URL: u.config.URL + "/", Scheme: "OAuth", Parameters: map[string]string{"AccessToken": u.config.Token}})
}

// namedConnection tells the task of a service connection, and is its id.
func (u *uploaded) namedConnection(name string) (string, error) {
	c, err := u.connection(name)
	if err != nil {
		return "", err
	}
	u.endpoint(c.ID, c)
	return c.ID, nil
}

// endpoint tells the task of a connection under a key: its id, or the name of the server's own.
func (u *uploaded) endpoint(key string, c job.Connection) {
	u.env["ENDPOINT_URL_"+key] = c.URL
	parameters := c.Parameters
	if parameters == nil {
		parameters = map[string]string{}
	}
	u.env["ENDPOINT_AUTH_"+key] = jsonText(struct {
		Parameters map[string]string `json:"parameters"`
		Scheme     string            `json:"scheme"`
	}{parameters, c.Scheme})
	u.env["ENDPOINT_AUTH_SCHEME_"+key] = c.Scheme
	for name, value := range c.Parameters {
		u.env["ENDPOINT_AUTH_PARAMETER_"+key+"_"+azureName(name)] = value
	}
	if c.ID == "" {
		return
	}
	data := c.Data
	if data == nil {
		data = map[string]string{}
	}
	u.env["ENDPOINT_DATA_"+key] = jsonText(data)
	for name, value := range data {
		u.env["ENDPOINT_DATA_"+key+"_"+azureName(name)] = value
	}
}

// fillVariables tells the task the names of all variables, the values of secret ones, and what its other parts have set for it.
func (u *uploaded) fillVariables() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	public, secret := []string{}, []string{}
	for _, name := range u.vars.Names() {
		v, _ := u.vars.Get(name)
		if !v.Secret {
			public = append(public, name)
			if own := azureName(name); own != variable.EnvironmentName(name) {
				u.env[own] = u.vars.Expand(v.Text)
			}
			continue
		}
		secret = append(secret, name)
		u.env["SECRET_"+azureName(name)] = u.vars.Expand(v.Text)
	}
	u.env["VSTS_PUBLIC_VARIABLES"], u.env["VSTS_SECRET_VARIABLES"] = jsonText(public), jsonText(secret)
	u.env["agent.jobstatus"] = u.vars.Text(variable.AgentJobStatus)
	own := u.taskVariables[u.of]
	for _, name := range own.Names() {
		u.env["VSTS_TASKVARIABLE_"+azureName(name)] = own.Text(name)
	}
	for name, value := range u.env {
		if strings.ContainsRune(value, 0) {
			return errors.New("the value of " + name + " holds a zero byte, which no environment can")
		}
	}
	return nil
}

// azureName is the name of a variable or input in the environment, as Azure's agent and its library agree on it.
func azureName(name string) string {
	return strings.ToUpper(strings.NewReplacer(".", "_", " ", "_").Replace(name))
}

// jsonText writes what cannot fail to be written.
func jsonText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}
