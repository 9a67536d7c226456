package clusters

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// PullCredentials are what a cluster's nodes pull from Slipway's registry with. The zero value is for nodes that have
// credentials of their own, as the embedded one has.
type PullCredentials struct {
	Host     string // of the registry in image names
	Username string
	Password string
}

// PullSecret is the Secret with the credentials, in every namespace that Slipway starts pods in.
const PullSecret = "slipway-registry"

// secrets are the names for a pod's imagePullSecrets.
func (p PullCredentials) secrets() []string {
	if p.Host == "" {
		return nil
	}
	return []string{PullSecret}
}

// dockerConfig is the content of a Secret of the type kubernetes.io/dockerconfigjson (Kubernetes, "Pull an Image from
// a Private Registry").
func (p PullCredentials) dockerConfig() (string, error) {
	text, err := json.Marshal(map[string]any{"auths": map[string]any{p.Host: map[string]string{
		"username": p.Username, "password": p.Password,
		"auth": base64.StdEncoding.EncodeToString([]byte(p.Username + ":" + p.Password)),
	}}})
	if err != nil {
		return "", fmt.Errorf("write pull credentials: %w", err)
	}
	return string(text), nil
}

// ensurePullSecret puts the credentials into a namespace.
func (c *cluster) ensurePullSecret(ctx context.Context, namespace string) error {
	if c.pull.Host == "" {
		return nil
	}
	text, err := c.pull.dockerConfig()
	if err != nil {
		return err
	}
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
		"stringData": map[string]any{".dockerconfigjson": text}}}
	u.SetName(PullSecret)
	u.SetNamespace(namespace)
	u.SetLabels(map[string]string{labelManagedBy: fieldManager})
	return c.applyForced(ctx, u)
}

// RenewPullSecrets puts the credentials as they are now into every namespace that has them: the server may have got
// another token, or another host, since they were written.
func (s *Service) RenewPullSecrets(ctx context.Context, name string) error {
	c, err := s.cluster(name)
	if err != nil {
		return err
	}
	list, err := c.typed.CoreV1().Secrets(metav1.NamespaceAll).List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + PullSecret,
		LabelSelector: labelManagedBy + "=" + fieldManager})
	if err != nil {
		return c.unreachable(fmt.Errorf("find pull secrets in cluster %s: %w", name, err))
	}
	for i := range list.Items {
		if err := c.ensurePullSecret(ctx, list.Items[i].Namespace); err != nil {
			return err
		}
	}
	return nil
}

// PrepareNamespace makes a namespace of Slipway's own, with the credentials for pulling in it, and returns the names
// for its pods' imagePullSecrets. level is its Pod Security Standard: "baseline" or "privileged".
func (s *Service) PrepareNamespace(ctx context.Context, name, namespace, level string) ([]string, error) {
	c, err := s.cluster(name)
	if err != nil {
		return nil, err
	}
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace"}}
	u.SetName(namespace)
	u.SetLabels(map[string]string{labelManagedBy: fieldManager, "pod-security.kubernetes.io/enforce": level})
	if err := c.applyForced(ctx, u); err != nil {
		return nil, err
	}
	return c.pull.secrets(), c.ensurePullSecret(ctx, namespace)
}
