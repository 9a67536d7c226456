package clusters

import (
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway"
)

// explain turns what the API server answered about an object into a Problem for whoever wrote the manifest.
func (c *cluster) explain(err error, o object, doing string) error {
	err = c.unreachable(err)
	var status apierrors.APIStatus
	if slipway.CodeOf(err) != slipway.CodeInternal || !errors.As(err, &status) || errors.Is(err, context.Canceled) {
		return err
	}
	message := status.Status().Message
	p := slipway.Invalid("%s: %s", o.describe(), message)
	switch {
	case apierrors.IsConflict(err) && len(conflicts(status)) > 0:
		p = slipway.Conflict("%s: %s. Leave the field out of the manifest, or take it over with force", o.describe(), strings.Join(conflicts(status), "; "))
	case apierrors.IsConflict(err):
		p = slipway.Conflict("%s has just been changed by somebody else: %s", o.describe(), message)
	case apierrors.IsForbidden(err) && strings.Contains(message, "exceeded quota"):
		p = slipway.Limit("%s exceeds the namespace's quota: %s", o.describe(), after(message, "exceeded quota: "))
	case apierrors.IsForbidden(err):
		p = slipway.Forbidden("the cluster does not allow Slipway to %s %s: %s", doing, o.describe(), message)
	case apierrors.IsInvalid(err) && strings.Contains(message, "field is immutable"):
		p = slipway.Invalid("%s: %s. Delete the %s in the cluster or give the new one another name", o.describe(), message, o.GetKind())
	case apierrors.IsInternalError(err) && strings.Contains(message, "webhook"):
		p = slipway.Invalid("%s is refused by an admission webhook: %s", o.describe(), message)
	case strings.Contains(message, "failed to create typed patch object"): // the API server calls it an internal error
		p = slipway.Invalid("%s: %s", o.describe(), after(message, "): "))
	case apierrors.IsInternalError(err):
		return fmt.Errorf("%s %s: %w", doing, o.describe(), err)
	}

	if o.place.File != "" {
		p = p.At(o.place)
	}
	return p
}

// conflicts says field by field who else manages it (server-side apply, "Conflicts").
func conflicts(status apierrors.APIStatus) []string {
	var list []string
	details := status.Status().Details
	if details == nil {
		return nil
	}
	for _, cause := range details.Causes {
		if cause.Type == metav1.CauseTypeFieldManagerConflict {
			manager := strings.TrimPrefix(cause.Message, "conflict with ")
			list = append(list, fmt.Sprintf("the field %s is managed by %s", cause.Field, manager))
		}
	}
	return list
}

func after(s, prefix string) string {
	if _, rest, ok := strings.Cut(s, prefix); ok {
		return rest
	}
	return s
}

func (c *cluster) logProblem(err error, namespace, pod string) error {
	switch {
	case apierrors.IsNotFound(err):
		return slipway.NotFound("there is no pod %s in namespace %s", pod, namespace)
	case apierrors.IsBadRequest(err): // no such container, not started yet, no previous one
		return slipway.Invalid("pod %s has no such log: %s", pod, err.Error())
	}
	return c.unreachable(fmt.Errorf("read log of pod %s/%s: %w", namespace, pod, err))
}
