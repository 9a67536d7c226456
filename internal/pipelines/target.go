package pipelines

import (
	"slices"
	"strings"

	"slipway/internal/pipelines/plan"
)

// fetchesElsewhere reports a job in a container that checks something out: its image need not have git, since that of the pool has it.
func fetchesElsewhere(i *plan.Instance) bool {
	return i.Job.Container != nil && slices.ContainsFunc(i.Steps(), func(st plan.Step) bool {
		return !st.Disabled && st.Checkout != nil && !strings.EqualFold(st.Checkout.Repository, "none")
	})
}

// addTargets adds the containers in which steps of the job run beside its own. They see the workspace, so who works in it is the same
// user as the job's, if the file says nothing else.
func (s *Service) addTargets(pod *Pod, p *plan.Plan, i *plan.Instance, own *Pool, logins imageLogins) error {
	list := p.Targets(*i)
	if host := (plan.Container{Alias: plan.TargetHost}); fetchesElsewhere(i) && !slices.ContainsFunc(list, func(c plan.Container) bool { return c.Alias == host.Alias }) {
		list = append(list, host)
	}
	for _, c := range list {
		target := PodService{Name: c.Alias}
		var err error
		if c.Alias == plan.TargetHost {
			target.Image, err = s.poolImage(i, own, logins.vars)
		} else {
			c = p.ContainerOf(c, logins.vars.Expand)
			target.Env, target.User, target.Volumes, target.Options = c.Env, c.User, c.Volumes, c.Options
			target.Image, err = logins.image(&c)
		}
		if err != nil {
			return err
		}
		if target.User == nil {
			target.User = pod.User
		}
		if target.User == nil {
			target.User = new(int64)
		}
		pod.Targets = append(pod.Targets, target)
	}
	return nil
}
