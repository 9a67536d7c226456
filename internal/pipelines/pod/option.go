package pod

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"slipway"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/plan"
)

// startupProbe lets a job begin when the service's check has succeeded. It asks more often than docker does, for as long.
func startupProbe(h *plan.HealthCheck) *corev1.Probe {
	if h == nil {
		return nil
	}
	period := min(h.Interval, 2)
	return &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"/bin/sh", "-c", h.Command}}},
		PeriodSeconds: int32(period), TimeoutSeconds: int32(h.Timeout), FailureThreshold: int32(max(h.Patience()/period, 1)),
	}
}

// addContainerOptions gives the job's container and the services what their options ask for.
func addContainerOptions(pod *corev1.Pod, p pipelines.Pod) error {
	shared := map[string]string{} // volumes of the pod by the names in the file
	if err := containerOptions(pod, &pod.Spec.Containers[0], p.Volumes, &p.Options, shared); err != nil {
		return err
	}
	beside := slices.Concat(p.Targets, p.Services)
	first := len(pod.Spec.InitContainers) - len(beside)
	for i := range beside {
		s := &beside[i]
		if err := containerOptions(pod, &pod.Spec.InitContainers[first+i], s.Volumes, &s.Options, shared); err != nil {
			return err
		}
	}
	return nil
}

// own are the folders that Slipway's volumes lie in.
var own = []string{agentFolder, workFolder, cacheFolder}

func containerOptions(pod *corev1.Pod, c *corev1.Container, volumes []plan.Volume, o *plan.ContainerOptions, shared map[string]string) error {
	mount := func(name, path string, readOnly bool, source *corev1.EmptyDirVolumeSource) error {
		if slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == path }) || slices.Contains(own, path) {
			return slipway.Invalid("a container has two volumes at %s", path)
		}
		if name == "" {
			name = fmt.Sprintf("volume-%d", len(pod.Spec.Volumes))
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: source}})
		}
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: name, MountPath: path, ReadOnly: readOnly})
		return nil
	}
	for _, v := range volumes {
		if err := mount(shared[v.Name], v.Path, v.ReadOnly, &corev1.EmptyDirVolumeSource{}); err != nil {
			return err
		}
		if v.Name != "" {
			shared[v.Name] = c.VolumeMounts[len(c.VolumeMounts)-1].Name
		}
	}
	for _, path := range o.Tmpfs {
		if err := mount("", path, false, &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}); err != nil {
			return err
		}
	}
	if o.SharedMemory > 0 {
		if err := mount("", "/dev/shm", false, &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory, SizeLimit: resource.NewQuantity(o.SharedMemory, resource.BinarySI)}); err != nil {
			return err
		}
	}
	limit(c, corev1.ResourceMemory, resource.NewQuantity(o.Memory, resource.BinarySI))
	limit(c, corev1.ResourceCPU, resource.NewMilliQuantity(o.MilliCPU, resource.DecimalSI))
	for _, h := range o.Hosts {
		pod.Spec.HostAliases = append(pod.Spec.HostAliases, corev1.HostAlias{IP: h.Address, Hostnames: []string{h.Name}})
	}
	return nil
}

// limit bounds what a container uses, by less than its pool does already. It never asks for more than it may have.
func limit(c *corev1.Container, name corev1.ResourceName, most *resource.Quantity) {
	if now, ok := c.Resources.Limits[name]; most.IsZero() || ok && now.Cmp(*most) <= 0 {
		return
	}
	if c.Resources.Limits == nil {
		c.Resources.Limits = corev1.ResourceList{}
	}
	c.Resources.Limits[name] = *most
	if asked, ok := c.Resources.Requests[name]; ok && asked.Cmp(*most) > 0 {
		c.Resources.Requests[name] = *most
	}
}
