package clusters

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"slipway"
)

// Right is what is done with one resource in all namespaces, as a ClusterRole's rule says it.
type Right struct {
	Group    string // empty for the core's
	Resource string // RESOURCE or RESOURCE/SUBRESOURCE
	Verbs    []string
}

const askedAtOnce = 8

// Check asks the cluster that config leads to whether it answers and lets Slipway do what it must. The Problem has
// slipway.CodeUnavailable when it does not answer, slipway.CodeUnauthenticated when it refuses the credentials, and
// slipway.CodeForbidden, with every verb and resource that is missing, when rights are. It takes some ten seconds at
// most.
func Check(ctx context.Context, config *rest.Config, rights []Right) error {
	c, err := connect(defaultCluster, config)
	if err != nil {
		return slipway.Invalid("the kubeconfig cannot be used").Because(err)
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	group, asking := errgroup.WithContext(ctx)
	group.SetLimit(askedAtOnce)
	missing := make([][]string, len(rights))
	for i, right := range rights {
		group.Go(func() (err error) {
			missing[i], err = c.missing(asking, right)
			return err
		})
	}
	err = group.Wait()
	switch {
	case apierrors.IsUnauthorized(err):
		return slipway.Unauthenticated("the cluster at %s refuses the credentials of the kubeconfig: they are wrong or have expired", config.Host)
	case err != nil:
		return slipway.Unavailable("the cluster at %s does not answer", config.Host).Because(cause(ctx, err))
	}
	var lacks []string
	for i, verbs := range missing {
		if len(verbs) > 0 {
			lacks = append(lacks, strings.Join(verbs, ", ")+" "+rights[i].qualified())
		}
	}
	if len(lacks) == 0 {
		return nil
	}
	return slipway.Forbidden("the cluster does not allow %s to %s: give it the ClusterRole of docs/cluster.md", c.user(ctx), strings.Join(lacks, "; "))
}

// cause is why a request failed, without the request's URL.
func cause(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("nothing came within %s", answerTimeout)
	}
	var request *url.Error
	if errors.As(err, &request) {
		return request.Err
	}
	return err
}

func (r Right) qualified() string {
	resource, sub, found := strings.Cut(r.Resource, "/")
	if r.Group != "" {
		resource += "." + r.Group
	}
	if found {
		resource += "/" + sub
	}
	return resource
}

// missing are the verbs of a right that the cluster refuses.
func (c *cluster) missing(ctx context.Context, r Right) ([]string, error) {
	resource, sub, _ := strings.Cut(r.Resource, "/")
	var lacks []string
	for _, verb := range r.Verbs {
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: verb, Group: r.Group, Resource: resource, Subresource: sub},
		}}
		answer, err := c.typed.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		if err != nil {
			return nil, err
		}
		if !answer.Status.Allowed {
			lacks = append(lacks, verb)
		}
	}
	return slices.Clip(lacks), nil
}

// user is whom the cluster takes Slipway for.
func (c *cluster) user(ctx context.Context) string {
	answer, err := c.typed.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil || answer.Status.UserInfo.Username == "" {
		return "the user of the kubeconfig"
	}
	return fmt.Sprintf("%q", answer.Status.UserInfo.Username)
}
