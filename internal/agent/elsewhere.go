package agent

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"slipway/internal/pipelines/job"
)

// deployElsewhere is KubernetesManifest with a service connection: kubectl of the job's image applies the manifests to its
// cluster, of which the server knows nothing.
func (t *task) deployElsewhere(c *job.Connection, d job.Deployment) error {
	path, err := t.look("kubectl")
	if err != nil {
		return fmt.Errorf("%w: the cluster of a service connection needs it, name an image that has it by the job's container, or install it in a step before", err)
	}
	config, end, err := t.writeKubeconfig(c, d.Namespace)
	if err != nil {
		return err
	}
	defer end()
	k := clusterProgram{t, path, t.folders.sources, map[string]string{"KUBECONFIG": config}}
	var namespace []string
	if d.Namespace != "" {
		namespace = []string{"--namespace", d.Namespace}
	}
	objects, err := manifestObjects(d)
	if err != nil {
		return err
	}
	return k.apply(objects, namespace, d.TimeoutInSeconds)
}

// rollout waits for what is rolled out step by step, describes what is not and goes on to the next. A workload whose pods nobody replaces
// until they are deleted has no rollout (checkManifestStability in kubernetesmanifestutility.ts of kubernetes-common).
func (t clusterProgram) rollout(objects []map[string]any, namespace []string, seconds int) error {
	var errs []error
	for _, o := range objects {
		kind, name := kindAndName(o)
		if how, ok := child(child(o, "spec"), "updateStrategy")["type"].(string); ok && !strings.EqualFold(how, "RollingUpdate") {
			continue
		}
		if err := t.rolledOut(kind, name, where(o, namespace), seconds); err != nil {
			errs = append(errs, fmt.Errorf("%s %s is not rolled out: %w", kind, name, err))
			_, _, _ = t.call(slices.Concat([]string{"describe", kind, name}, where(o, namespace))...) // the rollout's own failure counts
		}
	}
	return errors.Join(errs...)
}

// rolledOut waits until an object is rolled out, if it is one of which kubectl knows that.
func (t clusterProgram) rolledOut(kind, name string, namespace []string, seconds int) error {
	if !slices.Contains([]string{"deployment", "daemonset", "statefulset"}, kind) {
		return nil
	}
	args := append([]string{"rollout", "status", kind + "/" + name}, namespace...)
	if seconds > 0 {
		args = append(args, fmt.Sprintf("--timeout=%ds", seconds))
	}
	_, _, err := t.call(args...)
	return err
}

// manifestObjects are the objects of the manifests, with images and pull secrets put into their pods.
func manifestObjects(d job.Deployment) ([]map[string]any, error) {
	var list []map[string]any
	for _, m := range d.Manifests {
		decoder := yaml.NewDecoder(bytes.NewReader([]byte(m.Text)))
		for {
			var o map[string]any
			err := decoder.Decode(&o)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", m.Path, err)
			}
			if len(o) == 0 {
				continue
			}
			if len(list) >= maxManifests*10 {
				return nil, fmt.Errorf("the manifests have more than %d objects", maxManifests*10)
			}
			dress(o, d.Images, d.PullSecrets)
			list = append(list, o)
		}
	}
	if len(list) == 0 {
		return nil, errors.New("the manifests hold no object")
	}
	return list, nil
}

// dress puts images and pull secrets into every pod's specification below a value: a map that has containers.
func dress(value any, images, secrets []string) {
	switch v := value.(type) {
	case []any:
		for _, item := range v {
			dress(item, images, secrets)
		}
	case map[string]any:
		if containers, ok := v["containers"].([]any); ok {
			initial, _ := v["initContainers"].([]any)
			for _, item := range slices.Concat(containers, initial) {
				if c, ok := item.(map[string]any); ok {
					c["image"] = newImage(c["image"], images)
				}
			}
			addPullSecrets(v, secrets)
		}
		for _, inner := range v {
			dress(inner, images, secrets)
		}
	}
}

// newImage is the image of the same repository among images, or the old one.
func newImage(old any, images []string) any {
	text, ok := old.(string)
	if !ok {
		return old
	}
	repository := func(image string) string {
		image, _, _ = strings.Cut(image, "@")
		return withoutTag(image)
	}
	for _, image := range images {
		if repository(image) == repository(text) {
			return image
		}
	}
	return old
}

func addPullSecrets(spec map[string]any, secrets []string) {
	list, _ := spec["imagePullSecrets"].([]any)
	for _, name := range secrets {
		if !slices.ContainsFunc(list, func(item any) bool {
			entry, _ := item.(map[string]any)
			return entry["name"] == name
		}) {
			list = append(list, map[string]any{"name": name})
		}
	}
	if len(list) > 0 {
		spec["imagePullSecrets"] = list
	}
}
