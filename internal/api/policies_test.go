package api_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/git"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/policy"

	"slipway"
	"slipway/internal/api"
	"slipway/internal/repos"
)

// fakeValidate queues run 7 for every build that is wanted, and lets it succeed at once.
func fakeValidate(r *repos.Service) api.Validate {
	return func(ctx context.Context, w repos.WantedBuild, by slipway.Actor) (slipway.RunID, error) {
		if err := r.BuildQueued(ctx, w, 7, w.PullRequest.MergeCommit, by); err != nil {
			return 0, err
		}
		_, err := r.BuildChanged(ctx, w.PullRequest.ID, 7, repos.ValidationSucceeded, by)
		return 7, err
	}
}

// The ids are those of Azure DevOps' documentation of policy configurations, the settings those that its command line sends.
const (
	approverCount = "fa4e907d-c16b-4a4c-9dfa-4906e5d171dd"
	buildPolicy   = "0609b952-1397-4640-95ec-e00a01b2c241"
	statusPolicy  = "cbdc66da-9728-4af8-aada-9a5a32e4a226"
)

// Azure DevOps' own Go client makes policies, reads what they say, posts statuses, votes and sets auto-complete.
func TestAzureDevOpsPolicyClient(t *testing.T) {
	t.Parallel()
	w, token := gitWorld(t)
	ctx := t.Context()
	project := "Tools"
	connection := azuredevops.NewPatConnection(w.url, token)
	p := must[policy.Client](t)(policy.NewClient(ctx, connection))
	g := must[git.Client](t)(git.NewClient(ctx, connection))
	repository := (*must[*[]git.GitRepository](t)(g.GetRepositories(ctx, git.GetRepositoriesArgs{Project: &project})))[0]

	types := *must[*[]policy.PolicyType](t)(p.GetPolicyTypes(ctx, policy.GetPolicyTypesArgs{Project: &project}))
	if len(types) != 8 {
		t.Errorf("%d policy types", len(types))
	}
	make := func(kind string, blocking bool, settings map[string]any) *policy.PolicyConfiguration {
		t.Helper()
		id, on := uuid.MustParse(kind), true
		settings["scope"] = []map[string]any{{"repositoryId": repository.Id, "refName": "refs/heads/main", "matchKind": "Exact"}}
		return must[*policy.PolicyConfiguration](t)(p.CreatePolicyConfiguration(ctx, policy.CreatePolicyConfigurationArgs{Project: &project,
			Configuration: &policy.PolicyConfiguration{IsBlocking: &blocking, IsEnabled: &on, Type: &policy.PolicyTypeRef{Id: &id}, Settings: settings}}))
	}
	count := make(approverCount, true, map[string]any{"minimumApproverCount": 2, "creatorVoteCounts": false, "allowDownvotes": false, "resetOnSourcePush": false})
	make(buildPolicy, true, map[string]any{"buildDefinitionId": 3, "queueOnSourceUpdateOnly": true, "manualQueueOnly": true, "displayName": "ci", "validDuration": 720.0})
	make(statusPolicy, true, map[string]any{"statusName": "lint", "statusGenre": "ci", "invalidateOnSourceUpdate": true})

	settings := count.Settings.(map[string]any)
	settings["minimumApproverCount"] = 1
	count = must[*policy.PolicyConfiguration](t)(p.UpdatePolicyConfiguration(ctx, policy.UpdatePolicyConfigurationArgs{Project: &project, ConfigurationId: count.Id, Configuration: count}))
	if *count.Revision != 2 || count.Settings.(map[string]any)["minimumApproverCount"] != float64(1) {
		t.Errorf("changed: %+v", count)
	}
	listed := must[*policy.GetPolicyConfigurationsResponseValue](t)(p.GetPolicyConfigurations(ctx, policy.GetPolicyConfigurationsArgs{Project: &project}))
	if len(listed.Value) != 3 {
		t.Errorf("%d configurations", len(listed.Value))
	}
	ref := "refs/heads/topic"
	none := must[*git.GitPolicyConfigurationResponse](t)(g.GetPolicyConfigurations(ctx, git.GetPolicyConfigurationsArgs{Project: &project, RepositoryId: repository.Id, RefName: &ref}))
	if len(*none.PolicyConfigurations) != 0 {
		t.Errorf("policies of %s: %+v", ref, *none.PolicyConfigurations)
	}

	source, target, title := "refs/heads/topic", "refs/heads/main", "Sell hats"
	id := repository.Id.String()
	pull := must[*git.GitPullRequest](t)(g.CreatePullRequest(ctx, git.CreatePullRequestArgs{Project: &project, RepositoryId: &id,
		GitPullRequestToCreate: &git.GitPullRequest{SourceRefName: &source, TargetRefName: &target, Title: &title}}))
	artifact := fmt.Sprintf("vstfs:///CodeReview/CodeReviewId/%s/%d", w.project.ID, *pull.PullRequestId)
	says := func() (states []string, all []policy.PolicyEvaluationRecord) {
		t.Helper()
		all = *must[*[]policy.PolicyEvaluationRecord](t)(p.GetPolicyEvaluations(ctx, policy.GetPolicyEvaluationsArgs{Project: &project, ArtifactId: &artifact}))
		for _, e := range all {
			states = append(states, string(*e.Status))
		}
		return states, all
	}
	states, all := says()
	if diff := cmp.Diff([]string{"queued", "queued", "queued"}, states); diff != "" {
		t.Error(diff)
	}

	// A build is queued by hand; others say that lint is well; somebody approves.
	build := must[*policy.PolicyEvaluationRecord](t)(p.RequeuePolicyEvaluation(ctx, policy.RequeuePolicyEvaluationArgs{Project: &project, EvaluationId: all[1].EvaluationId}))
	if *build.Status != policy.PolicyEvaluationStatusValues.Approved || build.Context.(map[string]any)["buildId"] != float64(7) {
		t.Errorf("build %s %+v", *build.Status, build.Context)
	}
	name, genre := "lint", "ci"
	status := func(state git.GitStatusState) {
		t.Helper()
		must[*git.GitPullRequestStatus](t)(g.CreatePullRequestStatus(ctx, git.CreatePullRequestStatusArgs{Project: &project, RepositoryId: &id, PullRequestId: pull.PullRequestId,
			Status: &git.GitPullRequestStatus{State: &state, Context: &git.GitStatusContext{Name: &name, Genre: &genre}}}))
	}
	status(git.GitStatusStateValues.Failed)
	if states, _ := says(); states[2] != "rejected" {
		t.Errorf("a failed status: %s", states)
	}
	status(git.GitStatusStateValues.Succeeded)
	if n := len(*must[*[]git.GitPullRequestStatus](t)(g.GetPullRequestStatuses(ctx, git.GetPullRequestStatusesArgs{Project: &project, RepositoryId: &id, PullRequestId: pull.PullRequestId}))); n != 2 {
		t.Errorf("%d statuses", n)
	}
	complete := git.PullRequestStatusValues.Completed
	_, err := g.UpdatePullRequest(ctx, git.UpdatePullRequestArgs{Project: &project, RepositoryId: &id, PullRequestId: pull.PullRequestId,
		GitPullRequestToUpdate: &git.GitPullRequest{Status: &complete, LastMergeSourceCommit: pull.LastMergeSourceCommit}})
	if err == nil || !strings.Contains(err.Error(), "0 of 1 approvals") {
		t.Errorf("completing: %v", err)
	}
	squash, reviewer := git.GitPullRequestMergeStrategyValues.Squash, pull.CreatedBy.Id
	set := must[*git.GitPullRequest](t)(g.UpdatePullRequest(ctx, git.UpdatePullRequestArgs{Project: &project, RepositoryId: &id, PullRequestId: pull.PullRequestId,
		GitPullRequestToUpdate: &git.GitPullRequest{AutoCompleteSetBy: pull.CreatedBy, CompletionOptions: &git.GitPullRequestCompletionOptions{MergeStrategy: &squash}}}))
	if set.AutoCompleteSetBy == nil || *set.AutoCompleteSetBy.Id != *reviewer || *set.CompletionOptions.MergeStrategy != squash {
		t.Errorf("auto-complete %+v", set.AutoCompleteSetBy)
	}

	other := w.contributor("ben")
	vote, required := 10, true
	bens := must[git.Client](t)(git.NewClient(ctx, azuredevops.NewPatConnection(w.url, other.token)))
	asked := must[*git.IdentityRefWithVote](t)(g.CreatePullRequestReviewer(ctx, git.CreatePullRequestReviewerArgs{Project: &project, RepositoryId: &id,
		PullRequestId: pull.PullRequestId, ReviewerId: &other.id, Reviewer: &git.IdentityRefWithVote{IsRequired: &required}}))
	if asked.IsRequired == nil || !*asked.IsRequired || *asked.Vote != 0 {
		t.Errorf("asked %+v", asked)
	}
	must[*git.IdentityRefWithVote](t)(bens.CreatePullRequestReviewer(ctx, git.CreatePullRequestReviewerArgs{Project: &project, RepositoryId: &id,
		PullRequestId: pull.PullRequestId, ReviewerId: &other.id, Reviewer: &git.IdentityRefWithVote{Vote: &vote}}))
	if states, _ := says(); cmp.Diff([]string{"approved", "approved", "approved"}, states) != "" {
		t.Errorf("at the end they say %s", states)
	}
	if err := p.DeletePolicyConfiguration(ctx, policy.DeletePolicyConfigurationArgs{Project: &project, ConfigurationId: count.Id}); err != nil {
		t.Error(err)
	}
	if states, _ := says(); len(states) != 2 {
		t.Errorf("a deleted policy still speaks: %s", states)
	}
}

type contributor struct{ id, token string }

// contributor adds a contributor.
func (w world) contributor(name string) contributor {
	w.Helper()
	token := w.user(name, false)
	u, err := w.identity.UserByName(context.Background(), name)
	if err != nil {
		w.Fatal(err)
	}
	if err := w.identity.SetRole(context.Background(), slipway.System, w.project.ID, u.ID, "contributor"); err != nil {
		w.Fatal(err)
	}
	return contributor{string(u.ID), token}
}

func TestPolicyRefusals(t *testing.T) {
	t.Parallel()
	w, token := gitWorld(t)
	const path = "/Tools/_apis/policy/configurations"
	for what, body := range map[string]string{
		"no scope":           `{"type":{"id":"` + approverCount + `"},"settings":{"minimumApproverCount":1}}`,
		"an unknown setting": `{"type":{"id":"` + approverCount + `"},"settings":{"minimumApproverCount":1,"colour":"red","scope":[{"refName":"refs/heads/main"}]}}`,
		"no branch":          `{"type":{"id":"` + approverCount + `"},"settings":{"minimumApproverCount":1,"scope":[{"refName":"main"}]}}`,
		"another match":      `{"type":{"id":"` + approverCount + `"},"settings":{"minimumApproverCount":1,"scope":[{"refName":"refs/heads/main","matchKind":"regex"}]}}`,
	} {
		var problem struct{ Message string }
		w.call(token, "POST", path, body, http.StatusBadRequest, &problem)
		if problem.Message == "" {
			t.Errorf("%s: no message", what)
		}
	}
	w.call(token, "POST", path, `{"type":{"id":"`+nobodys+`"},"settings":{"scope":[{"refName":"refs/heads/main"}]}}`, http.StatusNotFound, nil)
	ben := w.contributor("ben")
	good := `{"type":{"id":"` + approverCount + `"},"settings":{"minimumApproverCount":1,"scope":[{"refName":"refs/heads/main"}]}}`
	w.call(ben.token, "POST", path, good, http.StatusForbidden, nil)
	w.call(token, "POST", path, good, http.StatusOK, nil)
	// The right to bypass is an administrator's to give, and then one of the user's alone.
	const bypasses = "/Tools/_apis/slipway/repositories/My%20Shop/bypasses"
	w.call(ben.token, "PUT", bypasses+"/ben", `{"completion":true}`, http.StatusForbidden, nil)
	var list struct{ Value []api.PolicyBypass }
	w.call(token, "PUT", bypasses+"/ben", `{"completion":true}`, http.StatusOK, &list)
	if len(list.Value) != 1 || list.Value[0].User.ID != ben.id || !list.Value[0].Completion || list.Value[0].Push {
		t.Errorf("bypasses %+v", list.Value)
	}
	var pull api.GitPullRequest
	const pulls = "/Tools/_apis/git/repositories/My%20Shop/pullrequests"
	w.call(ben.token, "POST", pulls, `{"sourceRefName":"refs/heads/topic","targetRefName":"refs/heads/main"}`, http.StatusCreated, &pull)
	complete := `{"status":"completed","lastMergeSourceCommit":{"commitId":"` + pull.LastMergeSourceCommit.CommitID + `"},"completionOptions":{"bypassPolicy":true,"bypassReason":%q}}`
	w.call(ben.token, "PATCH", pulls+"/1", fmt.Sprintf(complete, ""), http.StatusBadRequest, nil)
	w.call(token, "PATCH", pulls+"/1", fmt.Sprintf(complete, "I am an administrator"), http.StatusForbidden, nil)
	w.call(ben.token, "PATCH", pulls+"/1", fmt.Sprintf(complete, "the shop is down"), http.StatusOK, &pull)
	if pull.Status != "completed" || pull.CompletionOptions.BypassReason != "the shop is down" {
		t.Errorf("%+v", pull)
	}
}

// nobodys is the id of no policy type.
const nobodys = "11111111-1111-1111-1111-111111111111"
