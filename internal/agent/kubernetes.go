package agent

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"slipway/internal/pipelines/job"
)

// kubernetes is the tasks Kubernetes@0 and Kubernetes@1: kubectl, with access to the namespace of the job's environment.
type kubernetes struct {
	*task
	in    inputs
	major int
}

// maxToolOutput is the longest output that becomes a variable, in bytes; the tasks have the same.
const maxToolOutput = 32766

func (k kubernetes) do() error {
	program, err := k.program()
	if err != nil {
		return err
	}
	command := k.in.text("command")
	if strings.EqualFold(command, "logout") {
		return k.forgetAccess()
	}
	access, end, err := k.access(k.in.text("connectionType"), k.in.text("kubernetesServiceEndpoint"), k.in.text("namespace"))
	if err != nil {
		return err
	}
	if strings.EqualFold(command, "login") {
		k.setOutput("KUBECONFIG", access)
		return nil
	}
	defer end()
	t := clusterProgram{k.task, program, k.absolute(k.in.text("cwd")), map[string]string{}}
	if access != "" {
		t.env["KUBECONFIG"] = access
	}
	if name := k.in.text("secretName"); name != "" {
		if err := k.secret(t, name); err != nil {
			return err
		}
	}
	if name := k.in.text("configMapName"); name != "" {
		if err := k.configMap(t, name); err != nil {
			return err
		}
	}
	if command == "" {
		return nil
	}
	return k.command(t, command)
}

// program is kubectl: the file that is named, or the one of the job's image. The task installs none.
func (k kubernetes) program() (string, error) {
	if strings.EqualFold(k.in.text("versionOrLocation"), "location") {
		return k.absolute(k.in.text("specifyLocation")), nil
	}
	program, err := k.look("kubectl")
	if err != nil {
		return "", fmt.Errorf("%w: name an image that has kubectl by the job's container, or install it in a step before", err)
	}
	byDefault := map[int]string{0: "1.7.0", 1: "1.13.2"}[k.major]
	if version := k.in.text("versionSpec"); version != byDefault && version != "" || k.in.flag("checkLatest", false) {
		k.log.Printf("##[warning]The task installs no kubectl of version %s: %s is used.", version, program)
	}
	return program, nil
}

// access is a kubeconfig for the cluster of the service connection of that name, or else for the environment's namespace; "" when
// the job is to use the one that it has. end removes it.
func (t *task) access(connection, name, namespace string) (path string, end func(), err error) {
	end = func() {}
	if strings.EqualFold(connection, "None") {
		return "", end, nil
	}
	if !strings.EqualFold(connection, "Azure Resource Manager") {
		c, ok, err := t.foreign(name)
		if err != nil {
			return "", end, err
		}
		if ok {
			return t.writeKubeconfig(&c, namespace)
		}
	}
	var a job.ClusterAccess
	if err := t.client.again(t.ctx, func() error { return t.client.call(t.ctx, "POST", "/kubeconfig", nil, &a) }); err != nil {
		return "", end, fmt.Errorf("reach the cluster: %w", err)
	}
	t.mask.Add(a.Token)
	if namespace != "" && namespace != a.Namespace {
		return "", end, fmt.Errorf("namespace %q: the job's environment has the namespace %s and no other: leave the input out", namespace, a.Namespace)
	}
	folder, err := os.MkdirTemp(t.folders.temp, "kubectlTask-")
	if err != nil {
		return "", end, fmt.Errorf("keep the kubeconfig: %w", err)
	}
	end = func() { os.RemoveAll(folder) }
	path = filepath.Join(folder, "config")
	if err := os.WriteFile(path, []byte(a.Kubeconfig), 0o600); err != nil {
		end()
		return "", func() {}, fmt.Errorf("keep the kubeconfig: %w", err)
	}
	return path, end, nil
}

// forgetAccess ends what login began for the steps that follow.
func (t *task) forgetAccess() error {
	if path := t.vars.Text("KUBECONFIG"); strings.HasPrefix(path, t.folders.temp+string(filepath.Separator)) {
		os.RemoveAll(filepath.Dir(path))
	}
	t.setOutput("KUBECONFIG", "")
	return nil
}

// clusterProgram is a program that works on a cluster.
type clusterProgram struct {
	*task
	path, dir string
	env       map[string]string
}

// call runs it and gives what it wrote to its standard output and whether it wrote to its standard error. What it writes comes
// from the cluster, so logging commands in it mean nothing.
func (t clusterProgram) call(args ...string) (out string, complained bool, err error) {
	t.log.Printf("##[command]%s %s", filepath.Base(t.path), strings.Join(args, " "))
	shown := &stepLog{spool: t.log.spool, mask: t.mask}
	kept, errs := &limited{max: maxDockerOutput}, &limited{max: 1}
	err = t.run(process{name: t.path, args: args, dir: t.dir, env: t.env, stdout: io.MultiWriter(shown, kept), stderr: io.MultiWriter(shown, errs)})
	shown.Flush()
	return kept.String(), errs.Len() > 0, err
}

// quiet runs it for its exit code alone.
func (t clusterProgram) quiet(args ...string) error {
	return t.run(process{name: t.path, args: args, dir: t.dir, env: t.env, stdout: io.Discard, stderr: &bytes.Buffer{}})
}

// setToolOutput makes a program's output a variable.
func (t *task) setToolOutput(name, output string) {
	if len(output) > maxToolOutput {
		t.log.Printf("##[warning]The command wrote %d bytes: %s holds at most %d and is not set.", len(output), name, maxToolOutput)
		return
	}
	t.setOutput(name, output)
}

func (k kubernetes) namespace() []string {
	if n := k.in.text("namespace"); n != "" {
		return []string{"-n", n}
	}
	return nil
}

func (k kubernetes) secret(t clusterProgram, name string) error {
	args := append(k.namespace(), "create", "secret")
	if strings.EqualFold(k.in.text("secretType"), "generic") {
		words := splitArguments(k.in.text("secretArguments"))
		args = append(append(args, "generic", name), words...)
	} else {
		made, err := k.registrySecret(t, name)
		if err != nil || made {
			return err
		}
		k.log.Printf("##[warning]The secret %s is not made: the cluster pulls images of %s with credentials of its own, and the job's end with the job.", name, k.registry())
		return nil
	}
	if k.in.flag("forceUpdate", true) {
		_ = t.quiet(append(k.namespace(), "delete", "secret", name)...) // it need not be there
	}
	_, _, err := t.call(args...)
	return err
}

// createSecret is the action createSecret of KubernetesManifest, by kubectl.
func (t *task) createSecret(in inputs) error {
	in.m["containerregistrytype"] = "Container Registry" // the only one that the task knows
	return t.onCluster(in, func(kubectl clusterProgram, in inputs, _ []string) error {
		return kubernetes{t, in, 1}.secret(kubectl, in.text("secretName"))
	})
}

// registrySecret makes the pull secret of a service connection's registry; made is false for this server's own registry.
func (k kubernetes) registrySecret(t clusterProgram, name string) (made bool, err error) {
	host := k.in.text("dockerRegistryEndpoint")
	if !strings.EqualFold(k.in.text("containerRegistryType"), "Container Registry") {
		return false, nil
	}
	c, ok, err := k.foreign(host)
	if err != nil {
		return false, err
	}
	user, password := c.Credentials()
	if !ok || password == "" {
		if hostForm.MatchString(host) && host != k.registry() {
			return false, fmt.Errorf("there are no credentials of %s: name a service connection of type dockerregistry that has some", host)
		}
		return false, nil
	}
	server := c.RegistryHost()
	if server == "docker.io" {
		server = job.DockerHub
	}
	// The password goes by a file, since arguments are shown.
	config, err := json.Marshal(map[string]any{"auths": map[string]any{server: map[string]string{"username": user, "password": password,
		"auth": base64.StdEncoding.EncodeToString([]byte(user + ":" + password))}}})
	if err != nil {
		return false, err
	}
	folder, end, err := k.privateFolder("pullsecret-")
	if err != nil {
		return false, err
	}
	defer end()
	file := filepath.Join(folder, ".dockerconfigjson")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		return false, fmt.Errorf("write the pull secret: %w", err)
	}
	if k.in.flag("forceUpdate", true) {
		_ = t.quiet(append(k.namespace(), "delete", "secret", name)...) // it need not be there
	}
	_, _, err = t.call(append(k.namespace(), "create", "secret", "generic", name, "--type=kubernetes.io/dockerconfigjson", "--from-file="+file)...)
	return true, err
}

func (k kubernetes) configMap(t clusterProgram, name string) error {
	if k.in.flag("forceUpdateConfigMap", false) {
		_ = t.quiet(append(k.namespace(), "delete", "configmap", name)...) // it need not be there
	} else if t.quiet(append(k.namespace(), "get", "configmap", name)...) == nil {
		k.log.Printf("The ConfigMap %s is there already.", name)
		return nil
	}
	args := append(k.namespace(), "create", "configmap", name)
	if k.in.flag("useConfigMapFile", false) {
		path := k.absolute(k.in.text("configMapFile"))
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("the file of the ConfigMap: %w", err)
		}
		if info.IsDir() {
			args = append(args, "--from-file="+path)
		} else {
			args = append(args, "--from-file="+filepath.Base(path)+"="+path)
		}
	} else {
		words := splitArguments(k.in.text("configMapArguments"))
		args = append(args, words...)
	}
	_, _, err := t.call(args...)
	return err
}

// withoutFormat are kubectl's commands that have no -o json and -o yaml.
var withoutFormat = []string{"explain", "delete", "cluster-info", "top", "cordon", "uncordon", "drain", "describe", "logs", "attach", "exec",
	"port-forward", "proxy", "cp", "auth", "completion", "api-versions", "config", "help", "plugin", "rollout"}

func (k kubernetes) command(t clusterProgram, command string) error {
	args := append([]string{command}, k.namespace()...)
	file, err := k.configuration()
	if err != nil {
		return err
	}
	if file != "" {
		args = append(args, "-f", file)
	}
	words := splitArguments(k.in.text("arguments"))
	args = append(args, words...)
	variable := k.in.text("kubectlOutput")
	if k.major > 0 {
		variable = "KubectlOutput"
	}
	switch format := k.in.text("outputFormat"); {
	case variable == "" || format == "" || format == "none": // version 0 asks for a format only if it keeps the output (kubernetescommand.ts)
	case (format == "json" || format == "yaml") && slices.Contains(withoutFormat, command):
	default:
		args = append(args, "-o", format)
	}
	out, _, err := t.call(args...)
	if variable != "" {
		k.setToolOutput(variable, out) // also of one that fails
	}
	return err
}

// configuration is the file of -f: the one that is named, or one for the text.
func (k kubernetes) configuration() (string, error) {
	if !k.in.flag("useConfigurationFile", false) {
		return "", nil
	}
	path, inline := k.in.text("configuration"), k.in.text("inline")
	if inline != "" && (path == "" || strings.EqualFold(k.in.text("configurationType"), "inline")) {
		file, err := os.CreateTemp(k.folders.temp, "inlineconfig-*.yaml")
		if err != nil {
			return "", fmt.Errorf("write the configuration: %w", err)
		}
		_, err = file.WriteString(inline)
		if err = errors.Join(err, file.Close()); err != nil {
			return "", fmt.Errorf("write the configuration: %w", err)
		}
		return file.Name(), nil
	}
	if path == "" {
		return "", errors.New("useConfigurationFile needs the input configuration, or inline with configurationType: inline")
	}
	if strings.Contains(path, "://") {
		return path, nil
	}
	path = k.absolute(path)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("there is no configuration %s", path)
	}
	return path, nil
}
