package az

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	"go.yaml.in/yaml/v4"

	"slipway"
)

// clusterOptions name a cluster of Azure. Every name means the cluster of the job's environment.
func clusterOptions(more ...option) []option {
	return append(more, option{names: []string{"--resource-group", "-g"}, doc: "changes nothing"},
		option{names: []string{"--name", "-n"}, doc: "the cluster: any name means the one of the job's environment"})
}

var clusterCommands = []command{
	{name: "aks get-credentials", doc: "Lets kubectl and helm into the namespace of the job's environment.", options: clusterOptions(
		option{names: []string{"--file", "-f"}, doc: "the kubeconfig, - for standard output"}, option{names: []string{"--overwrite-existing"}, kind: flag},
		option{names: []string{"--admin", "-a"}, kind: flag}, option{names: []string{"--context"}, doc: "the name of the context"},
		option{names: []string{"--public-fqdn"}, kind: flag}, option{names: []string{"--format"}}), run: (*call).aksCredentials},
	{name: "aks show", doc: "Shows the cluster of the job's environment.", options: clusterOptions(), run: (*call).aksShow},
	{name: "aks list", doc: "Lists the cluster of the job's environment.", options: clusterOptions(), run: (*call).aksList},
}

// access is what the server gives a deployment job (package job, ClusterAccess).
type access struct {
	Server, Namespace, Token, Kubeconfig string
}

func (c *call) access() (access, error) {
	var a access
	job := c.Getenv("SLIPWAY_JOB")
	if job == "" {
		return a, slipway.Unavailable("no job is named: SLIPWAY_JOB is set in Slipway's jobs only")
	}
	err := c.jobAPI("_slipway/jobs/"+url.PathEscape(job)+"/kubeconfig", &a)
	return a, err
}

// aksCredentials writes the kubeconfig, or joins it to the one that is there.
func (c *call) aksCredentials() (any, error) {
	if c.flag("admin") {
		return nil, slipway.Unsupported("--admin: a job has the rights of its environment's namespace, leave it out")
	}
	a, err := c.access()
	if err != nil {
		return nil, err
	}
	// The agent masks what this names; it leaves no line in the log.
	fmt.Fprintf(c.Stderr, "##vso[task.setsecret]%s\n", a.Token)
	given := map[string]any{}
	if err := json.Unmarshal([]byte(a.Kubeconfig), &given); err != nil {
		return nil, fmt.Errorf("read the server's kubeconfig: %w", err)
	}
	if name := c.text("context"); name != "" {
		rename(given, name)
	}
	path := c.text("file")
	if path == "-" {
		e := json.NewEncoder(c.Stdout)
		e.SetIndent("", "  ")
		return nil, e.Encode(given)
	}
	if path == "" {
		path = c.kubeconfigPath()
	}
	merged, err := c.merge(path, given)
	if err != nil {
		return nil, err
	}
	b, err := yaml.Marshal(merged)
	if err != nil {
		return nil, fmt.Errorf("write the kubeconfig: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("write the kubeconfig: %w", err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		return nil, fmt.Errorf("write the kubeconfig: %w", err)
	}
	c.note("Merged %q, namespace %s, as current context in %s", merged["current-context"], a.Namespace, path)
	return nil, nil
}

// kubeconfigPath is kubectl's own: the first of KUBECONFIG, or .kube/config in the home folder.
func (p Program) kubeconfigPath() string {
	if list := filepath.SplitList(p.Getenv("KUBECONFIG")); len(list) > 0 && list[0] != "" {
		return list[0]
	}
	return filepath.Join(p.Getenv("HOME"), ".kube", "config")
}

// rename gives the context another name.
func rename(config map[string]any, name string) {
	config["current-context"] = name
	for _, one := range asList(config["contexts"]) {
		if context, ok := one.(map[string]any); ok {
			context["name"] = name
		}
	}
}

// maxKubeconfig bounds a kubeconfig that is there already, in bytes.
const maxKubeconfig = 4 << 20

// merge puts clusters, users and contexts in the place of those of the same name, and makes the new context the current one.
func (c *call) merge(path string, given map[string]any) (map[string]any, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return given, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	if info.Size() > maxKubeconfig {
		return nil, slipway.Limit("the kubeconfig %s is larger than %d bytes", path, maxKubeconfig)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	config := map[string]any{}
	if err := yaml.Unmarshal(b, &config); err != nil {
		return nil, slipway.Invalid("%s is not a kubeconfig: name another with --file", path).Because(err)
	}
	for _, kind := range []string{"clusters", "users", "contexts"} {
		list := asList(config[kind])
		for _, one := range asList(given[kind]) {
			list = slices.DeleteFunc(list, func(old any) bool { return nameOf(old) == nameOf(one) })
			list = append(list, one)
		}
		config[kind] = list
	}
	config["apiVersion"], config["kind"], config["current-context"] = "v1", "Config", given["current-context"]
	return config, nil
}

func asList(v any) []any {
	list, _ := v.([]any)
	return list
}

func nameOf(v any) any {
	m, _ := v.(map[string]any)
	return m["name"]
}

func (c *call) aksShow() (any, error) {
	a, err := c.access()
	if err != nil {
		return nil, err
	}
	fqdn := a.Server
	if u, err := url.Parse(a.Server); err == nil {
		fqdn = u.Hostname()
	}
	return map[string]any{"name": c.text("name"), "resourceGroup": c.text("resource-group"), "fqdn": fqdn, "namespace": a.Namespace,
		"id": "/clusters/" + c.text("name")}, nil
}

func (c *call) aksList() (any, error) {
	one, err := c.aksShow()
	return []any{one}, err
}
