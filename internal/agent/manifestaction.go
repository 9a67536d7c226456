package agent

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"slipway/internal/pipelines/job"
)

// manifestAction does an action of KubernetesManifest that programs of the job's image do; ok is false for the others.
func (t *task) manifestAction(action string, in inputs) (ok bool, err error) {
	switch action {
	case "bake":
		return true, t.bake(in)
	case "createsecret":
		return true, t.createSecret(in)
	case "delete":
		return true, t.onCluster(in, deleteObjects)
	case "patch":
		return true, t.onCluster(in, patchObject)
	case "scale":
		return true, t.onCluster(in, scaleObject)
	}
	return false, nil
}

// onCluster does something with kubectl, in the cluster of the service connection or in the namespace of the job's environment.
func (t *task) onCluster(in inputs, do func(kubectl clusterProgram, in inputs, namespace []string) error) error {
	k := kubernetes{t, in, 1}
	program, err := k.program()
	if err != nil {
		return err
	}
	access, end, err := t.access("", in.text("kubernetesServiceConnection"), in.text("namespace"))
	if err != nil {
		return err
	}
	defer end()
	return do(clusterProgram{t, program, t.folders.sources, map[string]string{"KUBECONFIG": access}}, in, k.namespace())
}

func deleteObjects(kubectl clusterProgram, in inputs, namespace []string) error {
	words := splitArguments(in.text("arguments"))
	if len(words) == 0 {
		return errors.New("the action delete needs arguments: what to delete, as kubectl delete takes it")
	}
	_, _, err := kubectl.call(slices.Concat([]string{"delete"}, namespace, words)...)
	return err
}

func scaleObject(kubectl clusterProgram, in inputs, namespace []string) error {
	kind, name := strings.ToLower(in.text("kind")), in.text("name")
	replicas, err := strconv.Atoi(in.text("replicas"))
	if err != nil || replicas < 0 {
		return fmt.Errorf("the input replicas is a number of pods, not %q", in.text("replicas"))
	}
	if kind == "" || name == "" {
		return errors.New("the action scale needs kind and name: which object is scaled")
	}
	if _, _, err := kubectl.call(slices.Concat([]string{"scale", kind + "/" + name, "--replicas=" + strconv.Itoa(replicas)}, namespace)...); err != nil {
		return err
	}
	if err := kubectl.rolledOut(kind, name, namespace, timeoutOf(in)); err != nil {
		return err
	}
	kubectl.annotate(kind, name, namespace)
	return nil
}

// patched is a line in which kubectl says what it has patched: deployment.apps/web patched.
var patched = regexp.MustCompile(`(?m)^([a-z]+)[a-z0-9.]*/(\S+) patched`)

func patchObject(kubectl clusterProgram, in inputs, namespace []string) error {
	args := []string{"patch"}
	switch file, kind, name := in.text("resourceFileToPatch"), strings.ToLower(in.text("kind")), in.text("name"); {
	case file != "" && !strings.EqualFold(in.text("resourceToPatch"), "name"):
		args = append(args, "--filename", kubectl.absolute(file))
	case kind == "" || name == "":
		return errors.New("the action patch needs resourceFileToPatch, or resourceToPatch: name with kind and name: which object is patched")
	default:
		args = append(args, kind, name)
	}
	args = append(args, "--type", strings.ToLower(in.text("mergeStrategy")), "--patch", in.text("patch"))
	out, _, err := kubectl.call(append(args, namespace...)...)
	if err != nil {
		return err
	}
	for _, found := range patched.FindAllStringSubmatch(out, -1) {
		if !slices.Contains(canaryKinds, found[1]) {
			continue
		}
		if err := kubectl.rolledOut(found[1], found[2], namespace, timeoutOf(in)); err != nil {
			return err
		}
		kubectl.annotate(found[1], found[2], namespace)
	}
	return nil
}

// timeoutOf is how many seconds a rollout may take; 0 is without a limit.
func timeoutOf(in inputs) int {
	seconds, err := strconv.Atoi(in.text("rolloutStatusTimeout"))
	if err != nil {
		return 0 // checkTimeout has refused what is no number
	}
	return max(seconds, 0)
}

// checkTimeout refuses what is no number of seconds.
func checkTimeout(in inputs) error {
	text := in.text("rolloutStatusTimeout")
	if _, err := strconv.ParseUint(text, 10, 31); text != "" && err != nil {
		return fmt.Errorf("the input rolloutStatusTimeout is a number of seconds, not %q", text)
	}
	return nil
}

// bake renders manifests into a file, which manifestsBundle names for a step that deploys them.
func (t *task) bake(in inputs) error {
	program, args, err := t.renderer(in)
	if err != nil {
		return err
	}
	path, err := t.look(program)
	if err != nil {
		return fmt.Errorf("%w: bake needs it, name an image that has it by the job's container, or install it in a step before", err)
	}
	t.log.Printf("##[command]%s %s", program, strings.Join(args, " "))
	shown := &stepLog{spool: t.log.spool, mask: t.mask}
	rendered := &limited{max: maxManifestBytes + 1}
	err = t.run(process{name: path, args: args, dir: t.folders.sources, stdout: rendered, stderr: io.Writer(shown)})
	shown.Flush()
	if err != nil {
		return err
	}
	text := rendered.Bytes()
	if len(text) > maxManifestBytes {
		return fmt.Errorf("%s rendered more than %d bytes of manifests", program, maxManifestBytes)
	}
	if images := in.list("containers"); len(images) > 0 {
		if text, err = withImages(text, images); err != nil {
			return err
		}
	}
	file, err := os.CreateTemp(t.folders.temp, "baked-template-*.yaml")
	if err != nil {
		return fmt.Errorf("keep what was rendered: %w", err)
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("keep what was rendered: %w", err)
	}
	t.setOutput("manifestsBundle", file.Name())
	return nil
}

// renderer is the program that renders, with its arguments, in the order of the task.
func (t *task) renderer(in inputs) (program string, args []string, err error) {
	needed := func(input string) string {
		if in.text(input) == "" {
			err = fmt.Errorf("the action bake with renderType %s needs the input %s", in.text("renderType"), input)
		}
		return t.absolute(in.text(input))
	}
	switch strings.ToLower(in.text("renderType")) {
	case "kustomize":
		return "kubectl", []string{"kustomize", needed("kustomizationPath")}, err
	case "kompose":
		return "kompose", []string{"convert", "--stdout", "--file", needed("dockerComposeFile")}, err
	}
	args = []string{"template"}
	if name := in.text("releaseName"); name != "" {
		args = append(args, name)
	}
	args = append(args, needed("helmChart"))
	if namespace := in.text("namespace"); namespace != "" {
		args = append(args, "--namespace", namespace)
	}
	for _, file := range in.lines("overrideFiles") {
		args = append(args, "--values", t.absolute(file))
	}
	for _, line := range in.lines("overrides") {
		name, value, _ := strings.Cut(line, ":")
		args = append(args, "--set", strings.TrimSpace(name)+"="+strings.TrimSpace(value))
	}
	return "helm", args, err
}

// withImages are manifests with images put into their pods.
func withImages(text []byte, images []string) ([]byte, error) {
	objects, err := manifestObjects(job.Deployment{Manifests: []job.Manifest{{Path: "the rendered manifests", Text: string(text)}}, Images: images})
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for _, o := range objects {
		document, err := yaml.Marshal(o)
		if err != nil {
			return nil, fmt.Errorf("encode the rendered manifests: %w", err)
		}
		out.WriteString("---\n")
		out.Write(document)
	}
	return out.Bytes(), nil
}
