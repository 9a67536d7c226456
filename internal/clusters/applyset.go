package clusters

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"slipway"
)

// The inventory is an ApplySet (Kubernetes enhancement 3659): a Secret as the parent names the kinds that the set
// holds, each member carries the set's id in a label. `kubectl apply --applyset` reads it too.
const (
	applySetID         = "applyset.kubernetes.io/id"
	applySetPartOf     = "applyset.kubernetes.io/part-of"
	applySetTooling    = "applyset.kubernetes.io/tooling"
	applySetGroupKinds = "applyset.kubernetes.io/contains-group-kinds"
	applySetNamespaces = "applyset.kubernetes.io/additional-namespaces"
	tooling            = "slipway/v1"
)

// applySet is the inventory of one set of manifests in one namespace.
type applySet struct {
	name      string // of the parent
	namespace string
}

var notInName = regexp.MustCompile(`[^a-z0-9-]+`)

const maxSetName = 40

// newApplySet names the parent after the set.
func newApplySet(namespace, set string) applySet {
	slug := strings.Trim(notInName.ReplaceAllString(strings.ToLower(set), "-"), "-")
	if slug != set || len(slug) > maxSetName {
		sum := sha256.Sum256([]byte(set))
		slug = strings.TrimRight(slug[:min(len(slug), maxSetName)], "-") + "-" + hex.EncodeToString(sum[:4])
	}
	return applySet{name: "slipway-" + slug, namespace: namespace}
}

// id is the V1 id of the enhancement: base64url(sha256(NAME.NAMESPACE.KIND.GROUP)), the group of a Secret being empty.
func (a applySet) id() string {
	sum := sha256.Sum256([]byte(a.name + "." + a.namespace + ".Secret."))
	return "applyset-" + base64.RawURLEncoding.EncodeToString(sum[:]) + "-v1"
}

func (a applySet) parent(kinds []schema.GroupKind, namespaces []string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Secret", "type": "Opaque"}}
	u.SetName(a.name)
	u.SetNamespace(a.namespace)
	u.SetLabels(map[string]string{applySetID: a.id(), labelManagedBy: fieldManager})
	annotations := map[string]string{applySetTooling: tooling, applySetGroupKinds: joinKinds(kinds)}
	if len(namespaces) > 0 {
		annotations[applySetNamespaces] = strings.Join(namespaces, ",")
	}
	u.SetAnnotations(annotations)
	return u
}

// joinKinds writes kinds as the enhancement wants them: KIND.GROUP, sorted, without repetition.
func joinKinds(kinds []schema.GroupKind) string {
	var list []string
	for _, k := range kinds {
		list = append(list, strings.TrimSuffix(k.Kind+"."+k.Group, "."))
	}
	slices.Sort(list)
	return strings.Join(slices.Compact(list), ",")
}

func splitKinds(s string) []schema.GroupKind {
	var kinds []schema.GroupKind
	for _, part := range strings.Split(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			kinds = append(kinds, schema.ParseGroupKind(part))
		}
	}
	return kinds
}

// members are the kinds and the other namespaces of the objects.
func (a applySet) members(objects []object) (kinds []schema.GroupKind, namespaces []string) {
	for _, o := range objects {
		kinds = append(kinds, o.GroupVersionKind().GroupKind())
		if ns := o.GetNamespace(); ns != "" && ns != a.namespace {
			namespaces = append(namespaces, ns)
		}
	}
	slices.Sort(namespaces)
	return kinds, slices.Compact(namespaces)
}

// begin widens the parent to what was there and what will come, before anything is applied: whatever breaks off in
// between is found again. It returns the kinds and namespaces to look through for pruning.
func (a applySet) begin(ctx context.Context, c *cluster, objects []object) ([]schema.GroupKind, []string, error) {
	kinds, namespaces := a.members(objects)
	live, err := c.typed.CoreV1().Secrets(a.namespace).Get(ctx, a.name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
	case err != nil:
		return nil, nil, c.unreachable(fmt.Errorf("read inventory %s: %w", a.name, err))
	case !strings.HasPrefix(live.Annotations[applySetTooling], "slipway/"):
		return nil, nil, slipway.Conflict("the inventory Secret %s in namespace %s belongs to %q", a.name, a.namespace, live.Annotations[applySetTooling])
	default:
		kinds = append(kinds, splitKinds(live.Annotations[applySetGroupKinds])...)
		if more := live.Annotations[applySetNamespaces]; more != "" {
			namespaces = append(namespaces, strings.Split(more, ",")...)
		}
	}
	slices.Sort(namespaces)
	namespaces = slices.Compact(namespaces)
	return kinds, namespaces, c.applyForced(ctx, a.parent(kinds, namespaces))
}

// keptKinds are never pruned, because what they hold cannot be brought back.
var keptKinds = []string{"PersistentVolumeClaim", "PersistentVolume", "Namespace", "CustomResourceDefinition"}

// superfluous are the members of the set that were not applied now: not in applied, and not applied by an
// earlier step of the same deployment. kept are those of them that hold data.
func superfluous(members []unstructured.Unstructured, applied []object, deployment slipway.DeploymentID) (remove, kept []unstructured.Unstructured) {
	key := func(u *unstructured.Unstructured) string {
		return u.GroupVersionKind().GroupKind().String() + "/" + u.GetNamespace() + "/" + u.GetName()
	}
	wanted := map[string]bool{}
	for _, o := range applied {
		wanted[key(o.Unstructured)] = true
	}
	for _, m := range members {
		switch {
		case wanted[key(&m)], m.GetDeletionTimestamp() != nil, m.GetAnnotations()[labelDeployment] == deployment.String():
		case slices.Contains(keptKinds, m.GetKind()):
			kept = append(kept, m)
		default:
			remove = append(remove, m)
		}
	}
	slices.SortStableFunc(remove, func(a, b unstructured.Unstructured) int { return rank(b.GetKind()) - rank(a.GetKind()) })
	return remove, kept
}

// prune deletes the members that are no longer wanted and narrows the parent to what is there now.
func (a applySet) prune(ctx context.Context, c *cluster, applied []object, kinds []schema.GroupKind, namespaces []string,
	deployment slipway.DeploymentID, tell func(string, ...any)) (pruned []string, err error) {
	members, err := a.list(ctx, c, kinds, namespaces)
	if err != nil {
		return nil, err
	}
	remove, kept := superfluous(members, applied, deployment)
	background := metav1.DeletePropagationBackground
	for _, u := range remove {
		m, err := c.mapping(u.GroupVersionKind())
		if err != nil {
			return pruned, err
		}
		uid := u.GetUID()
		err = c.resource(m, u.GetNamespace()).Delete(ctx, u.GetName(), metav1.DeleteOptions{
			PropagationPolicy: &background, Preconditions: &metav1.Preconditions{UID: &uid}})
		if err != nil && !apierrors.IsNotFound(err) {
			return pruned, c.explain(err, object{Unstructured: &u}, "remove")
		}
		name := u.GetKind() + " " + u.GetName()
		tell("%s is no longer in the manifests: removed", name)
		pruned = append(pruned, name)
	}
	left := slices.Clone(applied)
	for _, u := range kept {
		tell("%s %s is no longer in the manifests: kept, because it holds data", u.GetKind(), u.GetName())
		left = append(left, object{Unstructured: &u})
	}
	for _, u := range members { // of earlier steps of this deployment
		if u.GetAnnotations()[labelDeployment] == deployment.String() {
			left = append(left, object{Unstructured: &u})
		}
	}
	nowKinds, nowNamespaces := a.members(left)
	return pruned, c.applyForced(ctx, a.parent(nowKinds, nowNamespaces))
}

func (a applySet) list(ctx context.Context, c *cluster, kinds []schema.GroupKind, namespaces []string) ([]unstructured.Unstructured, error) {
	var all []unstructured.Unstructured
	selector := metav1.ListOptions{LabelSelector: applySetPartOf + "=" + a.id()}
	for _, kind := range splitKinds(joinKinds(kinds)) {
		m, err := c.mapper.RESTMapping(kind)
		if err != nil {
			continue // the kind's definition is gone, and its objects with it
		}
		for _, ns := range append([]string{a.namespace}, namespaces...) {
			list, err := c.resource(m, ns).List(ctx, selector)
			if err != nil {
				return nil, c.unreachable(fmt.Errorf("list %s of inventory %s: %w", kind.Kind, a.name, err))
			}
			all = append(all, list.Items...)
			if m.Scope.Name() != "namespace" {
				break
			}
		}
	}
	return all, nil
}
