package pod

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway"
	"slipway/internal/pipelines"
)

const (
	managedBy = "app.kubernetes.io/managed-by"
	// The labels of jobs' pods.
	LabelRun     = "slipway.dev/run"
	LabelJob     = "slipway.dev/job"
	LabelProject = "slipway.dev/project"
	LabelWarm    = "slipway.dev/warm" // instead of run and job, of a pod that was started before there was a job for it
	// annotationTitle is the job's title.
	annotationTitle = "slipway.dev/title"

	tokenKey     = "token"
	jobContainer = "job"
	agentFolder  = "/slipway"
	workFolder   = "/workspace"
	cacheFolder  = "/cache"
)

func labels(p pipelines.Pod) map[string]string {
	if p.Warm != 0 {
		return map[string]string{managedBy: "slipway", LabelWarm: strconv.FormatInt(p.Warm, 10), LabelProject: string(p.Project)}
	}
	return map[string]string{managedBy: "slipway", LabelRun: p.Run.String(), LabelJob: p.Job.String(), LabelProject: string(p.Project)}
}

// spec is the pod of a job.
func (o *Options) spec(p pipelines.Pod) (*corev1.Pod, error) {
	if p.Image == "" {
		return nil, slipway.Invalid("the job names no image")
	}
	resources, err := o.resources(p.Pool)
	if err != nil {
		return nil, err
	}
	no, grace, deadline := false, int64(30), int64(p.Deadline.Seconds())
	agentMount := corev1.VolumeMount{Name: "agent", MountPath: agentFolder}
	readOnly := agentMount
	readOnly.ReadOnly = true
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: p.Name, Namespace: o.Namespace, Labels: labels(p), Annotations: map[string]string{annotationTitle: p.Title}},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, AutomountServiceAccountToken: &no, EnableServiceLinks: &no,
			NodeSelector: p.Pool.NodeSelector, Tolerations: tolerations(p.Pool.Tolerations),
			TerminationGracePeriodSeconds: &grace,
			SecurityContext:               &corev1.PodSecurityContext{SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
			InitContainers: []corev1.Container{{
				Name: "agent", Image: o.AgentImage,
				Command: []string{"/slipway-agent", "install", agentFolder}, VolumeMounts: []corev1.VolumeMount{agentMount},
			}},
			Containers: []corev1.Container{{
				Name: jobContainer, Image: p.Image, Command: []string{agentFolder + "/slipway-agent"}, WorkingDir: workFolder,
				Env: o.environment(p), Resources: resources, TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
				VolumeMounts:    []corev1.VolumeMount{readOnly, {Name: "workspace", MountPath: workFolder}},
				SecurityContext: asUser(p.User),
			}},
			Volumes: []corev1.Volume{
				{Name: "agent", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
				{Name: "workspace", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
			},
		},
	}
	if o.CacheStorageClass != "" {
		addCache(pod, p)
	}
	if deadline > 0 {
		pod.Spec.ActiveDeadlineSeconds = &deadline
	}
	for _, name := range o.PullSecrets {
		pod.Spec.ImagePullSecrets = append(pod.Spec.ImagePullSecrets, corev1.LocalObjectReference{Name: name})
	}
	if len(p.Registries) > 0 {
		pod.Spec.ImagePullSecrets = append(pod.Spec.ImagePullSecrets, corev1.LocalObjectReference{Name: pullSecretName(p.Name)})
	}
	for _, ip := range slices.Sorted(maps.Keys(o.HostAliases)) {
		pod.Spec.HostAliases = append(pod.Spec.HostAliases, corev1.HostAlias{IP: ip, Hostnames: o.HostAliases[ip]})
	}
	addTargets(pod, p.Targets)
	if err := addServices(pod, p.Services); err != nil {
		return nil, err
	}
	return pod, addContainerOptions(pod, p)
}

// asUser runs a container as the user of that number; nil leaves it to the image.
func asUser(user *int64) *corev1.SecurityContext {
	if user == nil {
		return nil
	}
	return &corev1.SecurityContext{RunAsUser: user}
}

func (o *Options) environment(p pipelines.Pod) []corev1.EnvVar {
	env := []corev1.EnvVar{
		{Name: "SLIPWAY_JOB_TOKEN", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: p.Name}, Key: tokenKey,
		}}},
		{Name: "SLIPWAY_WORKSPACE", Value: workFolder},
		{Name: "SLIPWAY_IN_POD", Value: "1"},
	}
	return append(env, sortedEnv(p.Env)...)
}

// sortedEnv is a map as Kubernetes wants it. Its `$(NAME)` is doubled so that Kubernetes leaves it as it is.
func sortedEnv(values map[string]string) []corev1.EnvVar {
	var env []corev1.EnvVar
	for _, name := range slices.Sorted(maps.Keys(values)) {
		env = append(env, corev1.EnvVar{Name: name, Value: strings.ReplaceAll(values[name], "$(", "$$(")})
	}
	return env
}

var hostName = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$`)

// addServices adds the services as sidecars, which start before the job and end after it. All containers of a pod share
// its network, so a service's name means this machine.
func addServices(pod *corev1.Pod, services []pipelines.PodService) error {
	always := corev1.ContainerRestartPolicyAlways
	var names []string
	for i, s := range services {
		if !hostName.MatchString(s.Name) {
			return slipway.Invalid("service %q: a service's name must be a host name of lower-case letters, digits and dashes", s.Name)
		}
		names = append(names, s.Name)
		c := corev1.Container{
			Name: fmt.Sprintf("service-%d", i+1), Image: s.Image, Env: sortedEnv(s.Env), RestartPolicy: &always, SecurityContext: asUser(s.User),
			WorkingDir: s.Options.WorkingDirectory, StartupProbe: startupProbe(s.Options.Health),
		}
		if s.Options.Entrypoint != "" {
			c.Command = []string{s.Options.Entrypoint}
		}
		pod.Spec.InitContainers = append(pod.Spec.InitContainers, c)
	}
	if len(names) > 0 {
		pod.Spec.HostAliases = append(pod.Spec.HostAliases, corev1.HostAlias{IP: "127.0.0.1", Hostnames: names})
	}
	return nil
}

// addTargets adds the containers in which steps run: each has an agent of its own, which starts programs for that of the job. They
// have the volumes that Slipway gives the job's own.
func addTargets(pod *corev1.Pod, targets []pipelines.PodService) {
	always := corev1.ContainerRestartPolicyAlways
	job := &pod.Spec.Containers[0]
	for i, t := range targets {
		pod.Spec.InitContainers = append(pod.Spec.InitContainers, corev1.Container{
			Name: fmt.Sprintf("target-%d", i+1), Image: t.Image, Command: []string{agentFolder + "/slipway-agent", "target", workFolder, t.Name},
			WorkingDir: workFolder, Env: sortedEnv(t.Env), RestartPolicy: &always, SecurityContext: asUser(t.User), VolumeMounts: slices.Clone(job.VolumeMounts),
			Resources: targetResources(job.Resources),
		})
	}
}

// targetResources lets a target use as much as the job. It asks for nothing, since the two take turns.
func targetResources(job corev1.ResourceRequirements) corev1.ResourceRequirements {
	r := corev1.ResourceRequirements{Limits: maps.Clone(job.Limits), Requests: corev1.ResourceList{}}
	for name := range job.Requests {
		r.Requests[name] = resource.Quantity{}
	}
	return r
}

// tolerations are those of the pool as Kubernetes has them.
func tolerations(list []pipelines.Toleration) []corev1.Toleration {
	var out []corev1.Toleration
	for _, t := range list {
		out = append(out, corev1.Toleration{Key: t.Key, Operator: corev1.TolerationOperator(t.Operator), Value: t.Value, Effect: corev1.TaintEffect(t.Effect)})
	}
	return out
}

// resources are those of the pool, and what it does not say as the options say. A request is never above its limit.
func (o *Options) resources(pool pipelines.PoolSettings) (corev1.ResourceRequirements, error) {
	r := corev1.ResourceRequirements{Requests: corev1.ResourceList{}, Limits: corev1.ResourceList{}}
	for _, q := range []struct {
		list corev1.ResourceList
		name corev1.ResourceName
		text string
	}{
		{r.Requests, corev1.ResourceCPU, cmp.Or(pool.CPU, o.CPU)}, {r.Requests, corev1.ResourceMemory, cmp.Or(pool.Memory, o.Memory)},
		{r.Limits, corev1.ResourceCPU, pool.CPULimit}, {r.Limits, corev1.ResourceMemory, cmp.Or(pool.MemoryLimit, o.MemoryLimit)},
	} {
		if q.text == "" {
			continue
		}
		quantity, err := resource.ParseQuantity(q.text)
		if err != nil {
			return r, slipway.Invalid("a job's %s %q is no quantity", q.name, q.text)
		}
		q.list[q.name] = quantity
	}
	own := map[corev1.ResourceName]struct{ request, limit string }{
		corev1.ResourceCPU: {pool.CPU, pool.CPULimit}, corev1.ResourceMemory: {pool.Memory, pool.MemoryLimit}}
	for name, limit := range r.Limits {
		request, ok := r.Requests[name]
		switch {
		case !ok || request.Cmp(limit) <= 0:
		case own[name].request == "": // the usual request is for pools that say nothing
			r.Requests[name] = limit
		case own[name].limit == "":
			r.Limits[name] = request
		default:
			return r, slipway.Invalid("the pool's request of %s %s is above its limit of %s", &request, name, &limit)
		}
	}
	return r, nil
}
