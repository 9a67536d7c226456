package clusters

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"slipway"
)

// Target is where manifests go and on whose behalf.
type Target struct {
	Cluster         string // "local" when empty
	Namespace       string
	Project         slipway.ProjectID
	ProjectName     string
	Environment     slipway.EnvironmentID
	EnvironmentName string
	Deployment      slipway.DeploymentID
	Run             slipway.RunID
	Commit          slipway.CommitID
	// Set names the inventory within the namespace, "default" when empty: what two pipelines, or two jobs, deploy
	// side by side into one environment needs sets of their own, or each prunes what the other applied.
	Set string
}

// Options say how to apply.
type Options struct {
	Images           []string // HOST/REPOSITORY:TAG, each in the place of the same repository in the manifests
	Telemetry        Telemetry
	ImagePullSecrets []string          // names of Secrets in the namespace, beside Slipway's own
	Annotations      map[string]string // of every object, which its own and Slipway's win over
	Timeout          time.Duration     // until everything is ready; 10 minutes when 0
	ClusterScope     bool              // allow objects without a namespace and in other namespaces
	Force            bool              // take over fields that others manage
	Mask             []string          // secret values of the run: never kept in the manifests that pages show
	// Admit says whether the images that were chosen may be deployed; nil lets all. It is asked before anything is applied.
	Admit func(ctx context.Context, images []Image) error
}

// Progress is one line about an apply that is under way.
type Progress struct {
	Message string
	Ready   int // objects
	Total   int
}

// Result is what an apply did; it is filled as far as it came also when there is an error.
type Result struct {
	Objects       []string // "Deployment web", in the order of applying
	Changed       []string // the workloads that this deployment started; the others run on as they were
	Pruned        []string
	Images        []Image
	ManifestsHash string // sha256:HEX
	Namespace     string
}

const (
	fieldManager   = "slipway"
	defaultCluster = "local"
	defaultSet     = "default"
	defaultTimeout = 10 * time.Minute
)

func (t *Target) fill() error {
	if t.Cluster == "" {
		t.Cluster = defaultCluster
	}
	if t.Set == "" {
		t.Set = defaultSet
	}
	if t.Namespace == "" || t.Environment == 0 || t.Deployment == 0 {
		return fmt.Errorf("apply: namespace, environment and deployment must be given")
	}
	return nil
}

// Apply brings the manifests into the target's namespace, waits until everything is ready, and removes what earlier
// applies of the same set left there. progress may be nil; it is called from this goroutine.
//
// Mistakes in the manifests are a slipway.Problem with their place; what does not become ready is a *NotReadyError.
func (s *Service) Apply(ctx context.Context, t Target, files []File, o Options, progress func(Progress)) (Result, error) {
	if err := t.fill(); err != nil {
		return Result{}, err
	}
	objects, err := parse(files)
	if err != nil {
		return Result{}, err
	}
	images, err := newImageSet(ctx, o.Images, s.resolve)
	if err != nil {
		return Result{}, err
	}
	if err := replaceImages(ctx, objects, images); err != nil {
		return Result{}, err
	}
	if o.Admit != nil {
		if err := o.Admit(ctx, images.list()); err != nil {
			return Result{Images: images.list(), Namespace: t.Namespace}, err
		}
	}
	return s.deploy(ctx, t, objects, o, images.list(), progress)
}

// deploy applies objects whose images are chosen; both Apply and Rollback end here.
func (s *Service) deploy(ctx context.Context, t Target, objects []object, o Options, images []Image, progress func(Progress)) (Result, error) {
	result := Result{Images: images, Namespace: t.Namespace}
	c, err := s.cluster(t.Cluster)
	if err != nil {
		return result, err
	}
	defer s.lock(t.Cluster, t.Namespace)()
	timeout := o.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	sortForApply(objects)
	a := &application{cluster: c, target: t, options: o, result: &result, total: len(objects), progress: progress}
	if err := a.place(objects); err != nil {
		return result, err
	}
	if result.ManifestsHash, err = hashObjects(objects); err != nil {
		return result, err
	}
	if err := s.keep(ctx, t, objects, result.ManifestsHash, o.Mask); err != nil {
		return result, err
	}
	waiting, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err = a.run(waiting, objects, timeout)
	if ctx.Err() == nil {
		if tellErr := s.appendApplied(ctx, t, result, err); tellErr != nil && err == nil {
			err = tellErr
		}
	}
	return result, err
}

// application is one apply under way.
type application struct {
	cluster  *cluster
	target   Target
	options  Options
	result   *Result
	ready    int
	total    int
	progress func(Progress)
}

func (a *application) tell(format string, args ...any) {
	if a.progress != nil {
		a.progress(Progress{Message: fmt.Sprintf(format, args...), Ready: a.ready, Total: a.total})
	}
}

// place gives every object its namespace, and refuses what does not belong into this one.
func (a *application) place(objects []object) error {
	for _, o := range objects {
		if _, err := patienceOf(o); err != nil {
			return err
		}
		m, err := a.cluster.mapping(o.GroupVersionKind())
		if err != nil {
			if slipway.CodeOf(err) == slipway.CodeInvalid && definedHere(objects, o) {
				continue
			}
			return placed(err, o)
		}
		if m.Scope.Name() != meta.RESTScopeNameNamespace {
			if !a.options.ClusterScope {
				return slipway.Forbidden("%s belongs to the whole cluster; an environment may only deploy into its namespace %s",
					o.describe(), a.target.Namespace).At(o.place)
			}
			continue
		}
		if o.GetNamespace() == "" {
			o.SetNamespace(a.target.Namespace)
		}
		if o.GetNamespace() != a.target.Namespace && !a.options.ClusterScope {
			return slipway.Forbidden("%s names the namespace %s; this environment deploys into %s: leave metadata.namespace out",
				o.describe(), o.GetNamespace(), a.target.Namespace).At(o.place)
		}
	}
	return nil
}

// definedHere reports that the manifests bring the definition of o's kind along.
func definedHere(objects []object, o object) bool {
	return slices.ContainsFunc(objects, func(d object) bool {
		kind, _, _ := unstructured.NestedString(d.Object, "spec", "names", "kind")
		group, _, _ := unstructured.NestedString(d.Object, "spec", "group")
		return d.GetKind() == "CustomResourceDefinition" && kind == o.GetKind() && group == o.GroupVersionKind().Group
	})
}

func placed(err error, o object) error {
	var p *slipway.Problem
	if errors.As(err, &p) && p.Position == nil && o.place.File != "" {
		return p.At(o.place)
	}
	return err
}

func (a *application) run(ctx context.Context, objects []object, timeout time.Duration) error {
	if err := a.ensureNamespace(ctx); err != nil {
		return err
	}
	if err := a.ensureTelemetrySecret(ctx); err != nil {
		return err
	}
	if err := a.cluster.ensurePullSecret(ctx, a.target.Namespace); err != nil {
		return err
	}
	set := newApplySet(a.target.Namespace, a.target.Set)
	kinds, namespaces, err := set.begin(ctx, a.cluster, objects)
	if err != nil {
		return err
	}
	applied := make([]object, 0, len(objects))
	for _, o := range objects {
		live, err := a.apply(ctx, set, o)
		if err != nil {
			return err
		}
		applied = append(applied, object{Unstructured: live, place: o.place})
		a.result.Objects = append(a.result.Objects, o.describe())
	}
	a.tell("%d objects are applied to namespace %s", len(applied), a.target.Namespace)
	if err := a.wait(ctx, set, applied, timeout); err != nil {
		return err
	}
	a.result.Pruned, err = set.prune(ctx, a.cluster, applied, kinds, namespaces, a.target.Deployment, a.tell)
	return err
}

// apply sends one object, completed by what Slipway adds, and returns it as the cluster has it now.
func (a *application) apply(ctx context.Context, set applySet, o object) (*unstructured.Unstructured, error) {
	m, err := a.cluster.mapping(o.GroupVersionKind())
	if err != nil {
		return nil, placed(err, o)
	}
	client := a.cluster.resource(m, o.GetNamespace())
	u := o.DeepCopy()
	if podTemplate(u) != nil {
		live, err := client.Get(ctx, o.GetName(), metav1.GetOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return nil, a.cluster.explain(err, o, "read")
		}
		if err != nil {
			live = nil
		}
		if err := a.complete(u, live); err != nil {
			return nil, err
		}
	}
	mark(u, set, a.target, a.options.Annotations)
	applied, err := client.Apply(ctx, u.GetName(), u, metav1.ApplyOptions{FieldManager: fieldManager, Force: a.options.Force})
	if err != nil {
		return nil, a.cluster.explain(err, o, "apply")
	}
	return applied, nil
}

// mark makes the object a member of the set, with more annotations that it does not have itself.
func mark(u *unstructured.Unstructured, set applySet, t Target, more map[string]string) {
	labels, annotations := u.GetLabels(), u.GetAnnotations()
	if labels == nil {
		labels = map[string]string{}
	}
	if annotations == nil {
		annotations = map[string]string{}
	}
	labels[applySetPartOf] = set.id()
	labels[labelEnvironment] = strconv.FormatInt(int64(t.Environment), 10)
	if labels[labelManagedBy] == "" {
		labels[labelManagedBy] = fieldManager
	}
	for key, text := range more {
		if _, own := annotations[key]; !own {
			annotations[key] = text
		}
	}
	annotations[labelDeployment] = t.Deployment.String()
	annotations[annotationCommit] = string(t.Commit)
	u.SetLabels(labels)
	u.SetAnnotations(annotations)
}

// complete injects into the pod template, keeping the origin of a live workload whose template is the same.
func (a *application) complete(u, live *unstructured.Unstructured) error {
	template := podTemplate(u)
	hash, err := templateHash(template, a.target, a.options.Telemetry)
	if err != nil {
		return err
	}
	o := origin{deployment: a.target.Deployment, run: a.target.Run, commit: a.target.Commit}
	if before, same := liveOrigin(live, hash); same {
		o = before
	} else {
		a.result.Changed = append(a.result.Changed, u.GetKind()+" "+u.GetName())
	}
	inject(template, u.GetName(), a.target, o, hash, a.options.Telemetry, slices.Concat(a.cluster.pull.secrets(), a.options.ImagePullSecrets))
	return nil
}

// liveOrigin reads what started a live workload, if its template is the one of the hash.
func liveOrigin(live *unstructured.Unstructured, hash string) (origin, bool) {
	if live == nil || live.GetDeletionTimestamp() != nil {
		return origin{}, false
	}
	template := &unstructured.Unstructured{Object: podTemplate(live)}
	if template.Object == nil || template.GetAnnotations()[annotationTemplate] != hash {
		return origin{}, false
	}
	deployment, err := strconv.ParseInt(template.GetLabels()[labelDeployment], 10, 64)
	if err != nil {
		return origin{}, false
	}
	run, _ := strconv.ParseInt(template.GetLabels()[labelRun], 10, 64)
	return origin{deployment: slipway.DeploymentID(deployment), run: slipway.RunID(run),
		commit: slipway.CommitID(template.GetAnnotations()[annotationCommit])}, true
}

// ensureNamespace makes the environment's namespace. Pods in it are held to the baseline of the Pod Security
// Standards: a pipeline must not be able to take the node over.
func (a *application) ensureNamespace(ctx context.Context) error {
	t := a.target
	live, err := a.cluster.typed.CoreV1().Namespaces().Get(ctx, t.Namespace, metav1.GetOptions{})
	if err == nil {
		if owner := live.Labels[labelEnvironment]; owner != "" && owner != strconv.FormatInt(int64(t.Environment), 10) {
			return slipway.Conflict("the namespace %s of cluster %s belongs to another environment", t.Namespace, t.Cluster)
		}
		if live.DeletionTimestamp != nil {
			return slipway.Unavailable("the namespace %s is just being deleted", t.Namespace)
		}
		if live.Labels[labelProject] == string(t.Project) && live.Annotations[annotationEnvironment] == t.EnvironmentName {
			return nil
		}
	} else if !apierrors.IsNotFound(err) {
		return a.cluster.unreachable(fmt.Errorf("read namespace %s: %w", t.Namespace, err))
	}
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace"}}
	u.SetName(t.Namespace)
	u.SetLabels(map[string]string{labelManagedBy: fieldManager, labelProject: string(t.Project),
		labelEnvironment:                     strconv.FormatInt(int64(t.Environment), 10),
		"pod-security.kubernetes.io/enforce": "baseline"})
	u.SetAnnotations(map[string]string{annotationProject: t.ProjectName, annotationEnvironment: t.EnvironmentName})
	return a.cluster.applyForced(ctx, u)
}

func (a *application) ensureTelemetrySecret(ctx context.Context) error {
	if a.options.Telemetry.Token == "" {
		return nil
	}
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
		"stringData": map[string]any{headersKey: "authorization=" + url.PathEscape("Bearer "+a.options.Telemetry.Token)}}}
	u.SetName(telemetrySecret)
	u.SetNamespace(a.target.Namespace)
	u.SetLabels(map[string]string{labelManagedBy: fieldManager, labelEnvironment: strconv.FormatInt(int64(a.target.Environment), 10)})
	return a.cluster.applyForced(ctx, u)
}

// applyForced applies an object that is Slipway's own.
func (c *cluster) applyForced(ctx context.Context, u *unstructured.Unstructured) error {
	m, err := c.mapping(u.GroupVersionKind())
	if err != nil {
		return err
	}
	_, err = c.resource(m, u.GetNamespace()).Apply(ctx, u.GetName(), u, metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
	if err != nil {
		return c.explain(err, object{Unstructured: u}, "apply")
	}
	return nil
}

func hashObjects(objects []object) (string, error) {
	all := make([]map[string]any, len(objects))
	for i, o := range objects {
		all[i] = o.Object
	}
	text, err := json.Marshal(all)
	if err != nil {
		return "", fmt.Errorf("hash manifests: %w", err)
	}
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}
