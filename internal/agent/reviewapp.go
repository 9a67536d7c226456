package agent

// reviewApp says where the job deploys to. The server makes the review app when something is deployed to it.
func (t *task) reviewApp() error {
	pull := t.vars.Text("System.PullRequest.PullRequestId")
	if pull == "" {
		t.log.Printf("This run is of no pull request: it deploys to the environment %s itself.", t.vars.Text("Environment.Name"))
		return nil
	}
	t.log.Printf("This job deploys to the review app of pull request %s, environment %s-pr-%s, which is removed when the pull request is closed.", pull, t.vars.Text("Environment.Name"), pull)
	return nil
}
