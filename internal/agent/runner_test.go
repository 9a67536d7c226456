package agent

import (
	"context"
	"testing"

	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/variable"
)

// What a checkout asks for is told as UpdateCheckoutTasksAndVariables in BuildJobExtension.cs of microsoft/azure-pipelines-agent tells it:
// by the checkout of self, or by the only one.
func TestCheckoutVariables(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name              string
		checkouts         []plan.Checkout
		clean, submodules string
	}{
		{"what is not said is false", []plan.Checkout{{Repository: "self"}}, "False", "False"},
		{"self", []plan.Checkout{{Repository: "self", Clean: "true", Submodules: "recursive"}}, "True", "True"},
		{"said to be false", []plan.Checkout{{Repository: "self", Clean: "false", Submodules: "false"}}, "False", "False"},
		{"no boolean counts as true", []plan.Checkout{{Repository: "self", Clean: "yes"}}, "True", "False"},
		{"by a variable", []plan.Checkout{{Repository: "self", Clean: "$(tidy)"}}, "True", "False"},
		{"the only one", []plan.Checkout{{Repository: "tools", Clean: "true", Submodules: "true"}}, "True", "True"},
		{"another beside self", []plan.Checkout{{Repository: "tools", Clean: "true", Submodules: "true"}, {Repository: "self"}}, "False", "False"},
		{"none", nil, "False", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			work := job.Assignment{Variables: variable.Of(map[string]string{"tidy": "true"})}
			for i := range tt.checkouts {
				work.Steps = append(work.Steps, plan.Step{ID: i + 1, Checkout: &tt.checkouts[i]})
			}
			ctx, stop := context.WithCancelCause(t.Context())
			defer stop(nil)
			r := newRunner(Config{Folder: t.TempDir(), URL: "http://slipway"}, nil, nil, work, ctx, stop)
			for name, want := range map[string]string{"Build.Repository.Clean": tt.clean, "Build.Repository.Git.SubmoduleCheckout": tt.submodules,
				"Agent.IsSelfHosted": "1", "Agent.RootDirectory": r.vars.Text("Agent.WorkFolder"), "System.TeamFoundationServerUri": "http://slipway/"} {
				if got := r.vars.Text(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
		})
	}
}
