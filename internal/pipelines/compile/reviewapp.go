package compile

import (
	"strings"

	"slipway/internal/pipelines/plan"
)

// reviewApp reads a step that lets the runs of pull requests deploy to a review app of the job's environment. An environment is one namespace of
// Kubernetes here, so that the resource of which the review app is made is the environment itself.
func (c *compiler) reviewApp(o object, s *plan.Step, j *plan.Job) bool {
	resource := o.needed("reviewApp")
	switch {
	case resource == "":
		return false
	case j.Deployment == nil && c.template: // the file that includes this one may have the deployment job
	case j.Deployment == nil:
		c.problems.Add(o.at("reviewApp"), "reviewApp stands in a hook of a deployment job, whose environment the review app is made of")
		return false
	case j.Deployment.Machines():
		c.problems.Unsupported(o.at("reviewApp"), "a review app is a namespace of Kubernetes, and this job deploys to virtual machines: leave reviewApp out")
		return false
	default:
		e := &j.Deployment.Environment
		if e.Resource != "" && !strings.EqualFold(e.Resource, resource) && !strings.Contains(e.Resource+resource, "$(") {
			c.problems.Add(o.get("reviewApp").At, "reviewApp is made of the resource that the job deploys to, %s, not of %s", e.Resource, resource)
		}
		e.Review = true
	}
	s.Kind = plan.StepReview
	c.title(s, "Review app of "+resource)
	return true
}
