package pod

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway/internal/pipelines"
)

// cacheSize is what a project's volume asks for. The agent keeps what is in it below that.
var cacheSize = resource.MustParse("12Gi")

// cacheName is the claim of a project's caches: no project sees another's, and what forks bring fills none that others read.
func cacheName(p pipelines.Pod) string {
	if p.Fork {
		return "cache-forks-" + string(p.Project)
	}
	return "cache-" + string(p.Project)
}

// ensureCache makes the project's volume when caches are wanted and it is not there.
func (e *Executor) ensureCache(ctx context.Context, p pipelines.Pod) error {
	if e.options.CacheStorageClass == "" {
		return nil
	}
	claims := e.client.CoreV1().PersistentVolumeClaims(e.options.Namespace)
	if _, err := claims.Get(ctx, cacheName(p), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		return err
	}
	_, err := claims.Create(ctx, &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: cacheName(p), Labels: map[string]string{managedBy: "slipway", LabelProject: string(p.Project)}},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: &e.options.CacheStorageClass,
			AccessModes:      []corev1.PersistentVolumeAccessMode{e.options.CacheAccessMode},
			Resources:        corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: cacheSize}},
		},
	}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// addCache mounts the project's volume in the job's container and tells the agent of it.
func addCache(pod *corev1.Pod, p pipelines.Pod) {
	pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "cache", VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: cacheName(p)},
	}})
	job := &pod.Spec.Containers[0]
	job.VolumeMounts = append(job.VolumeMounts, corev1.VolumeMount{Name: "cache", MountPath: cacheFolder})
	job.Env = append(job.Env, corev1.EnvVar{Name: "SLIPWAY_CACHE", Value: cacheFolder})
}
