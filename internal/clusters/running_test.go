package clusters

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A pod needs what its containers run, what their manifests name while nothing runs yet, and both where an index was named.
func TestRunningImages(t *testing.T) {
	t.Parallel()
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-1"}, Spec: corev1.PodSpec{
		InitContainers: []corev1.Container{{Name: "init", Image: "localhost:8080/shop/migrate:3"}},
		Containers:     []corev1.Container{{Name: "web", Image: "localhost:8080/shop/web@" + string(webDigest)}, {Name: "db", Image: "postgres"}},
	}, Status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{Name: "web", ImageID: "localhost:8080/shop/web@" + string(dbDigest)}, {Name: "db"}}}}
	base := RunningImage{Cluster: "local", Namespace: "shop", Pod: "web-1"}
	image := func(change func(*RunningImage)) RunningImage { r := base; change(&r); return r }
	want := []RunningImage{
		image(func(r *RunningImage) { r.Host, r.Path, r.Tag = "localhost:8080", "shop/migrate", "3" }),
		image(func(r *RunningImage) { r.Host, r.Path, r.Digest = "localhost:8080", "shop/web", webDigest }),
		image(func(r *RunningImage) { r.Host, r.Path, r.Digest = "localhost:8080", "shop/web", dbDigest }),
		image(func(r *RunningImage) { r.Path = "postgres" }),
	}
	if diff := cmp.Diff(want, runningImages("local", p)); diff != "" {
		t.Error(diff)
	}
	p.Status.Phase = corev1.PodSucceeded
	if got := runningImages("local", p); got != nil {
		t.Errorf("a pod that has ended needs %+v", got)
	}
}
