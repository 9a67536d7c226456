package clusters

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"slipway"
)

const (
	// accessLife is how long a token is good; it is worth nothing as soon as its service account is gone.
	accessLife = time.Hour
	// accessRole is Kubernetes' own role for all that a namespace holds but roles: with it nobody can give rights that
	// outlive the service account (Kubernetes, "Using RBAC Authorization", user-facing roles).
	accessRole = "edit"
	labelJob   = "slipway.dev/job"
	rootCA     = "kube-root-ca.crt" // the ConfigMap that Kubernetes puts into each namespace
)

// Access is how a job reaches the namespace of its environment, and nothing else, with kubectl or helm.
type Access struct {
	Server     string // the address as pods reach it
	Namespace  string
	Token      string
	Kubeconfig string // a file with all of it, as JSON
	Expires    time.Time
}

// accessName is the name of a job's service account and of its RoleBinding.
func accessName(job slipway.JobID) string {
	return "slipway-job-" + strconv.FormatInt(int64(job), 10)
}

// GrantAccess gives a job access to the target's namespace, which is made if it is not there. Doing it again gives another
// token. RevokeAccess ends all of them.
func (s *Service) GrantAccess(ctx context.Context, t Target, job slipway.JobID) (Access, error) {
	if err := t.fill(); err != nil {
		return Access{}, err
	}
	c, err := s.cluster(t.Cluster)
	if err != nil {
		return Access{}, err
	}
	if err := (&application{cluster: c, target: t}).ensureNamespace(ctx); err != nil {
		return Access{}, err
	}
	if err := c.ensurePullSecret(ctx, t.Namespace); err != nil {
		return Access{}, err
	}
	name := accessName(job)
	for _, u := range accessObjects(name, t.Namespace, job) {
		if err := c.applyForced(ctx, u); err != nil {
			return Access{}, err
		}
	}
	seconds := int64(accessLife.Seconds())
	granted, err := c.typed.CoreV1().ServiceAccounts(t.Namespace).CreateToken(ctx, name,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}, metav1.CreateOptions{})
	if apierrors.IsForbidden(err) {
		return Access{}, slipway.Forbidden("cluster %s does not let Slipway make tokens of service accounts: give it the rights of docs/cluster.md for jobs with kubectl or helm", t.Cluster).Because(err)
	}
	if err != nil {
		return Access{}, c.unreachable(fmt.Errorf("make a token for job %d in namespace %s: %w", job, t.Namespace, err))
	}
	a := Access{Namespace: t.Namespace, Token: granted.Status.Token, Expires: granted.Status.ExpirationTimestamp.Time}
	var ca string
	if a.Server, ca, err = c.fromPods(ctx, t.Namespace); err != nil {
		return Access{}, err
	}
	a.Kubeconfig, err = kubeconfig(a, t.EnvironmentName, ca)
	return a, err
}

func accessObjects(name, namespace string, job slipway.JobID) []*unstructured.Unstructured {
	account := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ServiceAccount", "automountServiceAccountToken": false}}
	binding := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
		"roleRef":  map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": accessRole},
		"subjects": []any{map[string]any{"kind": "ServiceAccount", "name": name, "namespace": namespace}}}}
	for _, u := range []*unstructured.Unstructured{account, binding} {
		u.SetName(name)
		u.SetNamespace(namespace)
		u.SetLabels(map[string]string{labelManagedBy: fieldManager, labelJob: strconv.FormatInt(int64(job), 10)})
	}
	return []*unstructured.Unstructured{account, binding}
}

// fromPods is the API server's address within the cluster, and the authority that signed its certificate.
func (c *cluster) fromPods(ctx context.Context, namespace string) (server, ca string, err error) {
	server, ca = c.config.Host, string(c.config.CAData)
	service, err := c.typed.CoreV1().Services("default").Get(ctx, "kubernetes", metav1.GetOptions{})
	switch {
	case err == nil && len(service.Spec.Ports) > 0 && service.Spec.ClusterIP != "":
		server = fmt.Sprintf("https://%s:%d", hostOf(service.Spec.ClusterIP), service.Spec.Ports[0].Port)
	case err != nil && !apierrors.IsNotFound(err):
		return "", "", c.unreachable(fmt.Errorf("look for the API server's address within cluster %s: %w", c.name, err))
	}
	authority, err := c.typed.CoreV1().ConfigMaps(namespace).Get(ctx, rootCA, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return "", "", c.unreachable(fmt.Errorf("look for the authority of cluster %s: %w", c.name, err))
	}
	if err == nil && authority.Data["ca.crt"] != "" {
		ca = authority.Data["ca.crt"]
	}
	return server, ca, nil
}

// hostOf puts an address of version 6 into brackets.
func hostOf(ip string) string {
	for _, r := range ip {
		if r == ':' {
			return "[" + ip + "]"
		}
	}
	return ip
}

// kubeconfig is a file for kubectl (kubernetes.io, "Organizing Cluster Access Using kubeconfig Files"). JSON is YAML too.
func kubeconfig(a Access, environment, ca string) (string, error) {
	const name = "slipway"
	text, err := json.MarshalIndent(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": environment,
		"clusters": []any{map[string]any{"name": name, "cluster": map[string]any{"server": a.Server, "certificate-authority-data": []byte(ca)}}},
		"users":    []any{map[string]any{"name": environment, "user": map[string]any{"token": a.Token}}},
		"contexts": []any{map[string]any{"name": environment, "context": map[string]any{"cluster": name, "user": environment, "namespace": a.Namespace}}},
	}, "", "  ")
	if err != nil {
		return "", fmt.Errorf("write a kubeconfig: %w", err)
	}
	return string(text) + "\n", nil
}

// RevokeAccess ends a job's access. A job that had none, and a namespace that is gone, are no error.
func (s *Service) RevokeAccess(ctx context.Context, name, namespace string, job slipway.JobID) error {
	c, err := s.cluster(cmp.Or(name, defaultCluster))
	if err != nil {
		return err
	}
	account := accessName(job)
	err = c.typed.RbacV1().RoleBindings(namespace).Delete(ctx, account, metav1.DeleteOptions{})
	if apierrors.IsForbidden(err) {
		return nil // without the right to remove it there was none to make it
	}
	if err == nil || apierrors.IsNotFound(err) {
		err = c.typed.CoreV1().ServiceAccounts(namespace).Delete(ctx, account, metav1.DeleteOptions{})
	}
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsForbidden(err) {
		return c.unreachable(fmt.Errorf("end the access of job %d to namespace %s: %w", job, namespace, err))
	}
	return nil
}
