package clusters

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway"
)

// Right is what is done with one resource in all namespaces, as a ClusterRole's rule says it.
type Right struct {
	Group    string // empty for the core's
	Resource string // RESOURCE or RESOURCE/SUBRESOURCE
	Verbs    []string
}

const askedAtOnce = 8

// CheckRights asks a cluster whether Slipway may do all of this there. The Problem with slipway.CodeForbidden names
// every verb and resource that is missing.
func (s *Service) CheckRights(ctx context.Context, name string, rights []Right) error {
	c, err := s.cluster(name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(askedAtOnce)
	missing := make([][]string, len(rights))
	for i, right := range rights {
		group.Go(func() (err error) {
			missing[i], err = c.missing(ctx, right)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return c.unreachable(fmt.Errorf("ask cluster %s for Slipway's rights: %w", name, err))
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
	return slipway.Forbidden("the cluster does not allow %s to: %s. Give it the ClusterRole of docs/cluster.md", c.user(ctx), strings.Join(lacks, "; "))
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
