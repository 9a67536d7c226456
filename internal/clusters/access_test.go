package clusters_test

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

func TestAccess(t *testing.T) {
	t.Parallel()
	ctx, config := context.Background(), clusterConfig(t)
	w := setupOn(t, config)
	granted, err := w.GrantAccess(ctx, w.target(1), 7)
	if err != nil {
		t.Fatal(err)
	}
	file, err := clientcmd.RESTConfigFromKubeConfig([]byte(granted.Kubeconfig))
	if err != nil {
		t.Fatalf("%v:\n%s", err, granted.Kubeconfig)
	}
	raw, err := clientcmd.Load([]byte(granted.Kubeconfig))
	if err != nil {
		t.Fatal(err)
	}
	if got := raw.Contexts[raw.CurrentContext].Namespace; got != w.namespace || granted.Namespace != w.namespace {
		t.Errorf("namespace %q and %q, want %s", got, granted.Namespace, w.namespace)
	}
	service, err := w.client.CoreV1().Services("default").Get(ctx, "kubernetes", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if want := "https://" + service.Spec.ClusterIP + ":443"; file.Host != want {
		t.Errorf("the server is %s, want %s", file.Host, want)
	}
	if life := time.Until(granted.Expires); life < 5*time.Minute || life > time.Hour+time.Minute {
		t.Errorf("the token is good for %v", life)
	}
	// The address within the cluster is not one of this machine, so the same token and authority go to the outer one.
	file.Host, file.ServerName = config.Host, config.ServerName
	job, err := kubernetes.NewForConfig(rest.CopyConfig(file))
	if err != nil {
		t.Fatal(err)
	}
	settings := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "settings"}}
	if _, err := job.CoreV1().ConfigMaps(w.namespace).Create(ctx, settings, metav1.CreateOptions{}); err != nil {
		t.Errorf("make a ConfigMap in the namespace: %v", err)
	}
	if _, err := job.CoreV1().Secrets(w.namespace).List(ctx, metav1.ListOptions{}); err != nil {
		t.Errorf("list secrets of the namespace, as helm does: %v", err)
	}
	binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "mine"}, RoleRef: rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "edit"}}
	_, bindErr := job.RbacV1().RoleBindings(w.namespace).Create(ctx, binding, metav1.CreateOptions{})
	_, otherErr := job.CoreV1().ConfigMaps("default").Create(ctx, settings, metav1.CreateOptions{})
	_, nodeErr := job.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	_, spaceErr := job.CoreV1().Namespaces().Patch(ctx, w.namespace, "application/merge-patch+json", []byte(`{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"privileged"}}}`), metav1.PatchOptions{})
	_, secretErr := job.CoreV1().Secrets("slipway-jobs").List(ctx, metav1.ListOptions{})
	for what, err := range map[string]error{"give rights": bindErr, "change another namespace": otherErr, "see the nodes": nodeErr, "change the namespace": spaceErr, "see jobs' tokens": secretErr} {
		if !apierrors.IsForbidden(err) {
			t.Errorf("a job may %s: %v", what, err)
		}
	}
	// Again gives another token of the same account; revoking ends both.
	if again, err := w.GrantAccess(ctx, w.target(1), 7); err != nil || again.Token == "" {
		t.Errorf("again: %v", err)
	}
	if err := w.RevokeAccess(ctx, "", w.namespace, 7); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(30 * time.Second) // the API server remembers tokens for some seconds
	for {
		_, err := job.CoreV1().ConfigMaps(w.namespace).Get(ctx, "settings", metav1.GetOptions{})
		if apierrors.IsUnauthorized(err) || apierrors.IsForbidden(err) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the token is good after the job: %v", err)
		}
		time.Sleep(200 * time.Millisecond)
	}
	if _, err := w.client.CoreV1().ServiceAccounts(w.namespace).Get(ctx, "slipway-job-7", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the service account is there after the job: %v", err)
	}
	for range 2 { // twice, and where there was none
		if err := w.RevokeAccess(ctx, "local", w.namespace, 8); err != nil {
			t.Errorf("revoke what is not there: %v", err)
		}
	}
}
