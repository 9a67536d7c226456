package pod

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
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
	// annotationTitle is the job's title.
	annotationTitle = "slipway.dev/title"

	tokenKey     = "token"
	jobContainer = "job"
	agentFolder  = "/slipway"
	workFolder   = "/workspace"
	cacheFolder  = "/cache"
)

func labels(p pipelines.Pod) map[string]string {
	return map[string]string{managedBy: "slipway", LabelRun: p.Run.String(), LabelJob: p.Job.String(), LabelProject: string(p.Project)}
}

// spec is the pod of a job.
func (o *Options) spec(p pipelines.Pod) (*corev1.Pod, error) {
	if p.Image == "" {
		return nil, slipway.Invalid("the job names no image")
	}
	resources, err := o.resources()
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
	for _, ip := range slices.Sorted(maps.Keys(o.HostAliases)) {
		pod.Spec.HostAliases = append(pod.Spec.HostAliases, corev1.HostAlias{IP: ip, Hostnames: o.HostAliases[ip]})
	}
	return pod, addServices(pod, p.Services)
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
		pod.Spec.InitContainers = append(pod.Spec.InitContainers, corev1.Container{
			Name: fmt.Sprintf("service-%d", i+1), Image: s.Image, Env: sortedEnv(s.Env), RestartPolicy: &always, SecurityContext: asUser(s.User),
		})
	}
	if len(names) > 0 {
		pod.Spec.HostAliases = append(pod.Spec.HostAliases, corev1.HostAlias{IP: "127.0.0.1", Hostnames: names})
	}
	return nil
}

func (o *Options) resources() (corev1.ResourceRequirements, error) {
	r := corev1.ResourceRequirements{Requests: corev1.ResourceList{}, Limits: corev1.ResourceList{}}
	for _, q := range []struct {
		list corev1.ResourceList
		name corev1.ResourceName
		text string
	}{{r.Requests, corev1.ResourceCPU, o.CPU}, {r.Requests, corev1.ResourceMemory, o.Memory}, {r.Limits, corev1.ResourceMemory, o.MemoryLimit}} {
		quantity, err := resource.ParseQuantity(q.text)
		if err != nil {
			return r, slipway.Invalid("a job's %s %q is no quantity", q.name, q.text)
		}
		q.list[q.name] = quantity
	}
	return r, nil
}
