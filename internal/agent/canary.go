package agent

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"slipway/internal/pipelines/job"
)

// The strategy canary of KubernetesManifest, by the calls of kubectl that Microsoft's task makes (src/utils of KubernetesManifestV1): beside a
// workload NAME there are NAME-canary, the new version with a share of the replicas, and NAME-baseline, the version that is there with
// as many, so that the two can be compared. promote deploys the new version and reject does not; both remove the two.

// canaryVersion is the label and annotation that tells the copies apart.
const canaryVersion = "azure-pipelines/version"

// canaryKinds are the workloads of which a canary is made; other objects are applied as they are.
var canaryKinds = []string{"daemonset", "deployment", "pod", "replicaset", "statefulset"}

func canaryStrategy(in inputs) bool { return strings.EqualFold(in.text("strategy"), "canary") }

// deployCanary is the action deploy with the strategy canary.
func deployCanary(kubectl clusterProgram, in inputs, namespace []string, d job.Deployment) error {
	share, err := strconv.ParseFloat(in.text("percentage"), 64)
	if err != nil || share < 0 || share > 100 {
		return fmt.Errorf("the input percentage is the share of the canary's replicas, from 0 to 100, not %q", in.text("percentage"))
	}
	objects, err := manifestObjects(d)
	if err != nil {
		return err
	}
	var list []map[string]any
	for _, o := range objects {
		kind, name := kindAndName(o)
		if !slices.Contains(canaryKinds, kind) {
			list = append(list, o)
			continue
		}
		canary, err := versionOf(o, "canary")
		if err != nil {
			return err
		}
		replicas, sized := scaleTo(canary, math.Trunc(share))
		if sized && replicas == 0 {
			kubectl.log.Printf("##[warning]%v %% of the replicas of %s %s are none: its canary has no pod. Give it more replicas, or a higher percentage.", share, kind, name)
		}
		list = append(list, canary)
		stable, err := kubectl.live(o, namespace)
		if err != nil {
			return err
		}
		if stable == nil {
			kubectl.log.Printf("There is no %s %s yet, so its canary has no baseline.", kind, name)
			continue
		}
		baseline, err := versionOf(stable, "baseline")
		if err != nil {
			return err
		}
		if sized {
			child(baseline, "spec")["replicas"] = replicas
		}
		list = append(list, baseline)
	}
	return kubectl.apply(list, namespace, d.TimeoutInSeconds)
}

// withoutCanary removes what deployCanary made beside the workloads of the manifests. As in the task, manifests without a workload have
// nothing to remove.
func withoutCanary(kubectl clusterProgram, in inputs, namespace []string, d job.Deployment) error {
	words := splitArguments(in.text("arguments"))
	objects, err := manifestObjects(d)
	if err != nil {
		return err
	}
	for _, o := range objects {
		kind, name := kindAndName(o)
		if !slices.Contains(canaryKinds, kind) {
			continue
		}
		if _, _, err := kubectl.call(slices.Concat([]string{"delete", kind, name + "-canary", name + "-baseline", "--ignore-not-found"}, where(o, namespace), words)...); err != nil {
			return err
		}
	}
	return nil
}

// versionOf is a copy of a workload under a name of its own, with pods of its own.
func versionOf(o map[string]any, version string) (map[string]any, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("copy a workload: %w", err)
	}
	var c map[string]any
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, fmt.Errorf("copy a workload: %w", err)
	}
	kind, name := kindAndName(c)
	if name == "" {
		return nil, fmt.Errorf("a %s of the manifests has no metadata.name, which the strategy canary needs", kind)
	}
	metadata, spec := child(c, "metadata"), child(c, "spec")
	metadata["name"] = name + "-" + version
	child(metadata, "labels")[canaryVersion] = version
	child(metadata, "annotations")[canaryVersion] = version
	if kind == "pod" {
		return c, nil
	}
	if spec["selector"] != nil {
		child(child(spec, "selector"), "matchLabels")[canaryVersion] = version
	}
	child(child(child(spec, "template"), "metadata"), "labels")[canaryVersion] = version
	return c, nil
}

// scaleTo gives a workload a share of its replicas, in percent; sized is false for kinds that have none. One that leaves them out has the
// cluster's one, as with Microsoft's task.
func scaleTo(o map[string]any, share float64) (replicas int, sized bool) {
	if kind, _ := kindAndName(o); kind == "pod" || kind == "daemonset" {
		return 0, false
	}
	whole, ok := child(o, "spec")["replicas"].(float64)
	if !ok {
		whole, share = 1, 100
	}
	replicas = int(math.Round(whole * share / 100))
	child(o, "spec")["replicas"] = replicas
	return replicas, true
}

// live is an object as the cluster has it, without what the cluster and a deployment have added to it; nil if it is not there.
func (t clusterProgram) live(o map[string]any, namespace []string) (map[string]any, error) {
	kind, name := kindAndName(o)
	out := &limited{max: maxManifestBytes}
	shown := &stepLog{spool: t.log.spool, mask: t.mask}
	args := slices.Concat([]string{"get", kind, name, "--ignore-not-found", "--output", "json"}, where(o, namespace))
	err := t.run(process{name: t.path, args: args, dir: t.dir, env: t.env, stdout: out, stderr: shown})
	shown.Flush()
	if err != nil || out.Len() == 0 {
		return nil, err
	}
	var found map[string]any
	if err := json.Unmarshal(out.Bytes(), &found); err != nil {
		return nil, fmt.Errorf("read %s %s from the cluster: %w", kind, name, err)
	}
	metadata := child(found, "metadata")
	clean := map[string]any{"name": metadata["name"], "labels": unowned(child(metadata, "labels")), "annotations": unowned(child(metadata, "annotations"))}
	if own := child(o, "metadata")["namespace"]; own != nil {
		clean["namespace"] = own
	}
	found["metadata"] = clean
	delete(found, "status")
	return found, nil
}

// unowned are labels or annotations without those by which a deployment finds its objects again, and would prune a copy.
func unowned(m map[string]any) map[string]any {
	out := maps.Clone(m)
	maps.DeleteFunc(out, func(key string, value any) bool {
		domain, _, _ := strings.Cut(key, "/")
		return slices.Contains([]string{"applyset.kubernetes.io", "deployment.kubernetes.io", "kubectl.kubernetes.io", "slipway.dev"}, domain) ||
			key == "app.kubernetes.io/managed-by" && value == "slipway"
	})
	return out
}

// apply applies objects and waits until they are rolled out.
func (t clusterProgram) apply(objects []map[string]any, namespace []string, seconds int) error {
	withAnnotations(objects, t.annotations())
	text, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": objects})
	if err != nil {
		return fmt.Errorf("encode manifests: %w", err)
	}
	folder, end, err := t.privateFolder("manifests-")
	if err != nil {
		return err
	}
	defer end()
	file := filepath.Join(folder, "manifests.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return fmt.Errorf("write manifests: %w", err)
	}
	if _, _, err := t.call(append([]string{"apply", "--filename", file}, namespace...)...); err != nil {
		return err
	}
	return t.rollout(objects, namespace, seconds)
}

// kindAndName are an object's kind in lower case and its name.
func kindAndName(o map[string]any) (kind, name string) {
	kind, _ = o["kind"].(string)
	if metadata, ok := o["metadata"].(map[string]any); ok {
		name, _ = metadata["name"].(string)
	}
	return strings.ToLower(kind), name
}

// where are the arguments that say in which namespace an object is: its own, or else that of the step.
func where(o map[string]any, namespace []string) []string {
	if metadata, ok := o["metadata"].(map[string]any); ok {
		if own, _ := metadata["namespace"].(string); own != "" {
			return []string{"--namespace", own}
		}
	}
	return namespace
}

// child is a map in a map, which is made if it is not there.
func child(m map[string]any, key string) map[string]any {
	c, ok := m[key].(map[string]any)
	if !ok {
		c = map[string]any{}
		m[key] = c
	}
	return c
}
