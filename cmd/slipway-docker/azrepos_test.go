package main

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/api"
	"slipway/internal/boards"
	"slipway/internal/clock"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/repos"
	"slipway/internal/repos/policy"
)

// newReposJob is a job beside a real repository `shop`, with ben's token in admin, the branches main and topic, of which topic has one commit more.
func newReposJob(t *testing.T) (j *job, ada, ben identity.User, head slipway.CommitID) {
	t.Helper()
	ctx, d := context.Background(), dbtest.SQLite(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	j = newJob(t)
	log, err := events.Open(ctx, d, clock.System{}, j.world.Logger)
	must(err)
	ids, err := identity.Open(ctx, d, log, clock.System{})
	must(err)
	project, err := ids.CreateProject(ctx, slipway.System, "Shop", "")
	must(err)
	user := func(name string) identity.User {
		u, err := ids.CreateUser(ctx, slipway.System, identity.NewUser{Name: name, Password: "battery staple"})
		must(err)
		must(ids.SetRole(ctx, slipway.System, project.ID, u.ID, identity.RoleContributor))
		return u
	}
	ada, ben = user("ada"), user("ben")
	j.admin, err = ids.IssueToken(ctx, identity.TokenRequest{Kind: identity.TokenPersonal, Name: "az", Actor: slipway.Actor{Kind: slipway.ActorUser, ID: string(ben.ID), Name: ben.Name}})
	must(err)
	code, err := repos.Open(ctx, d, log, clock.System{}, t.TempDir(), j.world.Logger)
	must(err)
	t.Cleanup(func() { _ = code.Close() })
	code.People = ids
	items, err := boards.Open(ctx, d, log, clock.System{})
	must(err)
	shop, err := code.Create(ctx, repos.CreateRequest{Project: project.ID, Name: "shop", Actor: slipway.System})
	must(err)
	put := func(branch, name string, start slipway.CommitID) slipway.CommitID {
		id, err := code.CommitFiles(ctx, repos.CommitRequest{Repository: shop.ID, Branch: branch, Start: start, Message: "add " + name, Author: repos.Signature{Name: "Ada", Email: "ada@example.org"},
			Changes: []repos.Change{{Path: name, Content: []byte(name + "\n")}}, Actor: slipway.System})
		must(err)
		return id
	}
	head = put("topic", "topic.txt", put("main", "main.txt", ""))
	_, err = code.CreatePolicy(ctx, slipway.System, policy.Policy{Project: project.ID, Scope: policy.Scope{Repository: shop.ID, Ref: "refs/heads/main", Match: policy.Exact}, Kind: policy.Comments, Enabled: true, Blocking: true})
	must(err)
	rest := api.New(ids, j.world.Logger, "http://localhost")
	rest.AddGit(code, items)
	rest.AddPolicies(code, func(context.Context, repos.WantedBuild, slipway.Actor) (slipway.RunID, error) { return 0, nil })
	rest.AddUsers()
	server := httptest.NewServer(httpx.Middleware(j.world.Logger, rest.Handler()))
	t.Cleanup(server.Close)
	token, err := ids.IssueToken(ctx, identity.TokenRequest{Kind: identity.TokenJob, Actor: slipway.Actor{Kind: slipway.ActorJob, ID: "7", Name: "build"}, Project: project.ID})
	must(err)
	j.env["SLIPWAY_URL"], j.env["SLIPWAY_JOB_TOKEN"] = server.URL, token
	j.env["BUILD_REPOSITORY_NAME"], j.env["BUILD_SOURCEBRANCH"] = "shop", "refs/heads/topic"
	return j, ada, ben, head
}

// The commands, options and queries are those of the documentation of the Azure CLI's extension azure-devops.
func TestAzRepos(t *testing.T) {
	t.Parallel()
	j, _, _, head := newReposJob(t)
	j.want("repos list --query [].name -o tsv", "shop\n")
	j.want("repos show -r shop --query [name,defaultBranch] -o tsv", "shop\nrefs/heads/main\n")
	j.want("repos ref list --filter heads --query [].name -o tsv", "refs/heads/main\nrefs/heads/topic\n")
	j.want("repos ref create --name heads/release --object-id "+string(head)+" --query [name,newObjectId] -o tsv", "refs/heads/release\n"+string(head)+"\n")
	j.fails(1, "repos ref create --name heads/release --object-id "+string(head), "refs/heads/release stays as it is: there is a branch release already")
	j.want("repos ref delete --name refs/heads/release --query updateStatus -o tsv", "succeeded\n")
	j.fails(3, "repos ref delete --name heads/release", "no refs/heads/release")
	j.fails(1, "repos create --name other", "a job's token")
	j.fails(3, "repos show --repository nothing", "nothing")
	j.fails(2, "repos ref lock --name heads/main", "lock the branch on the page Branches")
	j.fails(2, "repos policy list", "page Policies")
	delete(j.env, "BUILD_REPOSITORY_NAME")
	j.fails(2, "repos show", "--repository")
}

func TestAzPullRequests(t *testing.T) {
	t.Parallel()
	j, ada, ben, head := newReposJob(t)
	id := strings.TrimSpace(j.ok("repos pr create --title Topic --description one two --target-branch main --reviewers ben --work-items 7 --labels hats --query pullRequestId -o tsv"))
	j.want("repos pr show --id "+id+" --query [title,description,sourceRefName,targetRefName,status,createdBy.displayName,labels[0].name,lastMergeSourceCommit.commitId] --output json",
		"[\n  \"Topic\",\n  \"one\\ntwo\\n\\nAB#7\",\n  \"refs/heads/topic\",\n  \"refs/heads/main\",\n  \"active\",\n  \"build\",\n  \"hats\",\n  \""+string(head)+"\"\n]\n")
	j.fails(1, "repos pr create --title again", "pull request")
	j.want("repos pr list --query [].pullRequestId -o tsv", id+"\n")
	j.want("repos pr list --repository shop --source-branch topic --status all --reviewer ben --query length(@)", "1\n")
	j.want("repos pr list --status completed --query length(@)", "0\n")
	j.want("repos pr reviewer list --id "+id+" --query [].[id,vote] -o tsv", string(ben.ID)+"\t0\n")
	j.want("repos pr reviewer add --id "+id+" --reviewers "+string(ada.ID)+" --required --query [?displayName=='ada'].isRequired -o tsv", "true\n")
	j.fails(3, "repos pr reviewer add --id "+id+" --reviewers nobody", "no member \"nobody\"")
	j.want("repos pr reviewer remove --id "+id+" --reviewers ada --query [].displayName -o tsv", "ben\n")
	j.ok("repos pr work-item add --id " + id + " --work-items 7 8")
	j.want("repos pr show --id "+id+" --query description", "\"one\\ntwo\\n\\nAB#7\\n\\nAB#8\"\n")
	j.want("repos pr policy list --id "+id+" --query [].[status,configuration.isBlocking] -o tsv", "approved\tTrue\n")
	j.want("repos pr update --id "+id+" --title Hats --draft true --query [title,isDraft] -o tsv", "Hats\ntrue\n")
	j.want("repos pr update --id "+id+" --draft false --query isDraft", "false\n")
	// A job neither votes nor completes; a person's token does.
	j.fails(2, "repos pr set-vote --id "+id+" --vote approve", "AZURE_DEVOPS_EXT_PAT")
	j.fails(2, "repos pr update --id "+id+" --status completed", "AZURE_DEVOPS_EXT_PAT")
	j.env["AZURE_DEVOPS_EXT_PAT"] = j.admin
	j.want("repos pr set-vote --id "+id+" --vote approve-with-suggestions --query vote", "5\n")
	j.fails(2, "repos pr set-vote --id "+id+" --vote maybe", "invalid choice")
	j.fails(2, "repos pr update --id "+id+" --squash", "--auto-complete or --status completed")
	j.want("repos pr update --id "+id+" --status completed --squash --delete-source-branch true --query [status,completionOptions.mergeStrategy] -o tsv", "completed\nsquash\n")
	j.want("repos ref list --filter heads/ --query [].name -o tsv", "refs/heads/main\n")
	j.fails(3, "repos pr show --id 99", "99")
	j.fails(2, "repos pr checkout --id "+id, "git fetch origin refs/pull")
	j.fails(2, "repos pr list --org https://dev.azure.com/acme", "another server")
}
