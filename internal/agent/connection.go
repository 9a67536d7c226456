package agent

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v4"

	"slipway"
	"slipway/internal/pipelines/job"
)

// connection is the service connection of that name or id, with its secrets masked from then on.
func (t *task) connection(name string) (job.Connection, error) {
	c, err := t.client.connection(t.ctx, t.of.ID, name)
	if slipway.CodeOf(err) == slipway.CodeUnsupported { // `slipway run`
		return c, fmt.Errorf("service connection %q: %w", name, err)
	}
	if err != nil {
		return c, err
	}
	c = t.changed(c)
	for _, key := range c.Secret {
		if strings.EqualFold(key, "kubeconfig") { // most of its lines are in every output of kubectl
			t.maskKubeconfig(c.Parameter(key))
			continue
		}
		t.mask.Add(c.Parameter(key))
		t.mask.Add(c.Datum(key))
	}
	if user, password := c.Credentials(); password != "" {
		t.mask.Add(base64.StdEncoding.EncodeToString([]byte(user + ":" + password)))
	}
	return c, nil
}

// connections are those of a list of names, parted by commas. URLs among them are none.
func (t *task) connections(names string) ([]job.Connection, error) {
	var list []job.Connection
	for name := range strings.SplitSeq(names, ",") {
		if name = strings.TrimSpace(name); name == "" || strings.Contains(name, "://") {
			continue
		}
		c, err := t.connection(name)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

// foreign is the connection of that name, if there is one: other names mean something of this server. ok is false then.
func (t *task) foreign(name string) (c job.Connection, ok bool, err error) {
	if name == "" || strings.Contains(name, "://") {
		return c, false, nil
	}
	c, err = t.connection(name)
	switch slipway.CodeOf(err) {
	case "":
		return c, true, nil
	case slipway.CodeNotFound, slipway.CodeUnsupported:
		return c, false, nil
	}
	return c, false, err
}

// privateFolder is a folder in the temporary one that this user alone reads; remove removes it.
func (t *task) privateFolder(pattern string) (folder string, remove func(), err error) {
	folder, err = os.MkdirTemp(t.folders.temp, pattern)
	if err != nil {
		return "", func() {}, fmt.Errorf("make a folder for credentials: %w", err)
	}
	return folder, func() { os.RemoveAll(folder) }, nil
}

// setStepEnv sets a variable of the environment of the steps that follow, by its exact name.
func (t *task) setStepEnv(name, value string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.setEnv == nil {
		t.setEnv = map[string]string{}
	}
	t.setEnv[name] = value
}

// writeKubeconfig writes a kubeconfig that reaches the connection's cluster, with the namespace if one is given.
func (t *task) writeKubeconfig(c *job.Connection, namespace string) (path string, remove func(), err error) {
	config, err := t.kubeconfigOf(c, namespace)
	if err != nil {
		return "", func() {}, fmt.Errorf("service connection %q: %w", c.Name, err)
	}
	folder, remove, err := t.privateFolder("kubectlTask-")
	if err != nil {
		return "", remove, err
	}
	text, err := yaml.Marshal(config)
	path = filepath.Join(folder, "config")
	if err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		remove()
		return "", func() {}, fmt.Errorf("keep the kubeconfig: %w", err)
	}
	return path, remove, nil
}

func (t *task) kubeconfigOf(c *job.Connection, namespace string) (map[string]any, error) {
	if text := c.Parameter("kubeconfig"); text != "" {
		return t.givenKubeconfig(text, c.Parameter("clusterContext"), namespace)
	}
	token := decoded(c.Parameter("apitoken"))
	if token == "" {
		return nil, errors.New("it has neither a kubeconfig nor an apiToken")
	}
	t.mask.Add(token)
	cluster := map[string]any{"server": c.URL}
	if certificate := c.Parameter("serviceAccountCertificate"); certificate != "" {
		cluster["certificate-authority-data"] = base64.StdEncoding.EncodeToString([]byte(decoded(certificate)))
	} else if strings.EqualFold(c.Datum("acceptUntrustedCerts"), "true") {
		cluster["insecure-skip-tls-verify"] = true
	}
	context := map[string]any{"cluster": "cluster", "user": "user"}
	if namespace == "" {
		namespace = c.Datum("namespace")
	}
	if namespace != "" {
		context["namespace"] = namespace
	}
	return map[string]any{"apiVersion": "v1", "kind": "Config", "current-context": "connection",
		"clusters": []any{map[string]any{"name": "cluster", "cluster": cluster}},
		"users":    []any{map[string]any{"name": "user", "user": map[string]any{"token": token}}},
		"contexts": []any{map[string]any{"name": "connection", "context": context}},
	}, nil
}

// givenKubeconfig is the connection's own, with the context that it chooses.
func (t *task) givenKubeconfig(text, choice, namespace string) (map[string]any, error) {
	var config map[string]any
	if err := yaml.Unmarshal([]byte(text), &config); err != nil || config == nil {
		return nil, errors.New("its kubeconfig is no YAML map")
	}
	t.maskKubeconfig(text)
	if choice != "" {
		config["current-context"] = choice
	}
	if namespace == "" {
		return config, nil
	}
	contexts, _ := config["contexts"].([]any)
	for _, item := range contexts {
		entry, _ := item.(map[string]any)
		if context, ok := entry["context"].(map[string]any); ok && entry["name"] == config["current-context"] {
			context["namespace"] = namespace
		}
	}
	return config, nil
}

// maskKubeconfig masks the credentials in a kubeconfig.
func (t *task) maskKubeconfig(text string) {
	var config struct {
		Users []struct {
			User struct {
				Token    string `yaml:"token"`
				Password string `yaml:"password"`
				Key      string `yaml:"client-key-data"`
			} `yaml:"user"`
		} `yaml:"users"`
	}
	if err := yaml.Unmarshal([]byte(text), &config); err != nil {
		t.mask.Add(text) // it is of no use as a kubeconfig
	}
	for _, u := range config.Users {
		for _, secret := range []string{u.User.Token, u.User.Password, u.User.Key} {
			t.mask.Add(secret)
		}
		if key, err := base64.StdEncoding.DecodeString(u.User.Key); err == nil {
			t.mask.Add(string(key))
		}
	}
}

// decoded is a text that may be in base64, as Kubernetes shows tokens and certificates of secrets.
func decoded(text string) string {
	text = strings.TrimSpace(text)
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(b) == 0 {
		return text
	}
	for _, c := range b {
		if c >= 0x7f || c < ' ' && c != '\n' && c != '\r' && c != '\t' {
			return text
		}
	}
	return strings.TrimSpace(string(b))
}
