package clusters

import (
	"context"
	"fmt"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway"
)

// Delete removes an environment's namespace with everything in it, data too. A namespace that is not there is no
// error; one that is not the environment's is refused.
func (s *Service) Delete(ctx context.Context, name, namespace string, environment slipway.EnvironmentID) error {
	c, err := s.cluster(name)
	if err != nil {
		return err
	}
	defer s.lock(name, namespace)()
	live, err := c.typed.CoreV1().Namespaces().Get(ctx, namespace, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return c.unreachable(fmt.Errorf("read namespace %s: %w", namespace, err))
	}
	if live.Labels[labelEnvironment] != strconv.FormatInt(int64(environment), 10) {
		return slipway.Conflict("the namespace %s of cluster %s does not belong to this environment", namespace, name)
	}
	uid := live.UID
	err = c.typed.CoreV1().Namespaces().Delete(ctx, namespace, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
	if err != nil && !apierrors.IsNotFound(err) {
		return c.unreachable(fmt.Errorf("delete namespace %s: %w", namespace, err))
	}
	return nil
}
