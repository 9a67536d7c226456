package clusters_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"slipway"
	"slipway/internal/clusters"
)

var someRights = []clusters.Right{
	{Resource: "pods", Verbs: []string{"get", "delete"}},
	{Resource: "pods/log", Verbs: []string{"get"}},
	{Group: "apps", Resource: "deployments", Verbs: []string{"patch"}},
}

// TestCheckRights takes the administrator's credentials, a user's who may do a part, and a token that nobody issued.
func TestCheckRights(t *testing.T) {
	t.Parallel()
	ctx, admin, client := context.Background(), clusterConfig(t), setup(t).client
	if err := clusters.Check(ctx, admin, someRights); err != nil {
		t.Errorf("the administrator: %v", err)
	}
	const user = "clusters-test-reader"
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: user}, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get"}}}}
	binding := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: user}, Subjects: []rbacv1.Subject{{Kind: "User", Name: user}},
		RoleRef: rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: user}}
	if _, err := client.RbacV1().ClusterRoles().Create(ctx, role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	defer client.RbacV1().ClusterRoles().Delete(ctx, user, metav1.DeleteOptions{})
	if _, err := client.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	defer client.RbacV1().ClusterRoleBindings().Delete(ctx, user, metav1.DeleteOptions{})
	reader := rest.CopyConfig(admin)
	reader.Impersonate.UserName = user
	deadline := time.Now().Add(10 * time.Second) // the API server learns of a role a moment after it is made
	for {
		err := clusters.Check(ctx, reader, someRights)
		if slipway.CodeOf(err) != slipway.CodeForbidden {
			t.Fatalf("a reader: %v, want forbidden", err)
		}
		if strings.Contains(err.Error(), `"clusters-test-reader" to delete pods; get pods/log; patch deployments.apps: `) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("a reader: %v", err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	stranger := rest.AnonymousClientConfig(admin)
	stranger.BearerToken = "expired"
	if err := clusters.Check(ctx, stranger, someRights); slipway.CodeOf(err) != slipway.CodeUnauthenticated {
		t.Errorf("a stranger: %v, want unauthenticated", err)
	}
}

// TestCheckSilentCluster takes a server that accepts connections and says nothing.
func TestCheckSilentCluster(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	start := time.Now()
	err = clusters.Check(context.Background(), &rest.Config{Host: "https://" + l.Addr().String()}, someRights)
	if slipway.CodeOf(err) != slipway.CodeUnavailable || time.Since(start) > 15*time.Second {
		t.Errorf("a silent cluster: %v after %s, want unavailable within 15 s", err, time.Since(start))
	}
}
