package jobserver_test

import (
	"context"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/schedule"
)

func (w *world) connect(c pipelines.Connection) {
	w.t.Helper()
	c.Project, c.AllPipelines = w.source.repository.Project, true
	if _, err := w.CreateConnection(context.Background(), c, slipway.System); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) has(log string, texts ...string) {
	w.t.Helper()
	for _, text := range texts {
		if !strings.Contains(log, text) {
			w.t.Errorf("no %q in the log\n%s", text, log)
		}
	}
}

// The tasks of a job get the connections that they name, and their secrets are masked; nobody else gets any.
func TestConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect(pipelines.Connection{Name: "npm", Type: "externalnpmregistry", URL: "https://npm.example/shop/", Parameters: map[string]string{"apitoken": "token-of-npm"}})
	w.connect(pipelines.Connection{Name: "hub", Type: "dockerregistry", Parameters: map[string]string{"registry": "https://hub.example", "username": "ada", "password": "hunter2hunter2"}})
	// A docker that shows how it is called, with what password, and what it is signed in to.
	w.write(filepath.Join(w.executor.path, "docker"), "#!/bin/sh\necho docker \"$@\"\nif [ \"$1\" = login ]; then read -r password; mkdir -p \"$DOCKER_CONFIG\"; echo \"auth of $4 $5: $password\" >> \"$DOCKER_CONFIG/config.json\"; fi\n"+
		"[ \"$1\" != push ] || { sed 's/hunter2/HUNTER2/g' \"$DOCKER_CONFIG/config.json\"; echo \"$DOCKER_CONFIG\" > ../../folder; }\n", 0o755)
	tl := w.completed(w.one(w.push(`
steps:
- task: npmAuthenticate@0
  displayName: authenticate
  inputs: {workingFile: .npmrc, customEndpoint: npm}
- bash: |
    cat .npmrc
    grep -c token-of-npm .npmrc
  displayName: use
- task: Docker@2
  displayName: push
  inputs: {command: push, containerRegistry: HUB, repository: shop/web, tags: v1}
- task: Docker@1
  displayName: push 1
  inputs: {containerregistrytype: Container Registry, dockerRegistryEndpoint: hub, command: push, imageName: 'shop/api:v2'}
- task: Docker@2
  displayName: own
  inputs: {command: push, containerRegistry: slipway, repository: web, tags: v1}
- bash: |
    curl -sS -H "Authorization: Bearer $SLIPWAY_JOB_TOKEN" "$SLIPWAY_URL/_slipway/jobs/$(System.JobId)/connections?step=3&name=hub"
  displayName: steal
`, ".npmrc", "@shop:registry=https://npm.example/shop/\n")))
	j := w.job(tl, "__default.Job")
	w.has(w.log(j, "use"), "//npm.example/shop/:_authToken=***\n1\n")
	w.has(w.log(j, "push"), "docker login --username ada --password-stdin hub.example", "docker push hub.example/shop/web:v1\n", "auth of --password-stdin hub.example: HUNTER2HUNTER2")
	w.has(w.log(j, "push 1"), "docker login --username ada --password-stdin hub.example", "docker push hub.example/shop/api:v2\n")
	w.has(w.log(j, "own"), "docker push registry.test:5000/shop/web:v1\n")
	w.has(w.log(j, "steal"), `"code":"forbidden"`)
	folder := filepath.Join(w.executor.folder, "run-"+tl.Run.ID.String()+"-job-"+j.ID.String())
	if b, err := os.ReadFile(filepath.Join(folder, "1", "s", ".npmrc")); err != nil || string(b) != "@shop:registry=https://npm.example/shop/\n" {
		t.Errorf("after the job .npmrc is %q, %v", b, err)
	}
	b, err := os.ReadFile(filepath.Join(folder, "folder"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(strings.TrimSpace(string(b))); !os.IsNotExist(err) {
		t.Errorf("docker's credentials outlive the step: %v", err)
	}
	for _, name := range []string{"npm", "hub"} {
		c, err := w.Connection(t.Context(), w.source.repository.Project, name)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"npm": "authenticate", "hub": "push"}[name]
		if uses, err := w.ConnectionUses(t.Context(), &c, 10); err != nil || len(uses) == 0 || uses[len(uses)-1].Step != want || uses[0].Job != j.ID {
			t.Errorf("uses of %s: %+v, %v", name, uses, err)
		}
	}
}

func TestAzureKeyVault(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	group := pipelines.Group{Project: w.source.repository.Project, Name: "vault", Variables: []pipelines.GroupVariable{{Name: "db-password", Value: "hunter2hunter2", Secret: true}, {Name: "plain", Value: "not-so-plain"}}}
	if _, err := w.PutGroup(context.Background(), group, slipway.Actor{}); err != nil {
		t.Fatal(err)
	}
	runs := w.push(`
steps:
- bash: echo 'first $(db-password), $(plain)'
  displayName: first
- task: AzureKeyVault@2
  displayName: early
  inputs: {azureSubscription: any, KeyVaultName: vault, SecretsFilter: db-password, RunAsPreJob: true}
- task: AzureKeyVault@1
  displayName: all
  inputs: {azureSubscription: any, KeyVaultName: vault}
- bash: |
    [ "$(db-password)" = hunter2"hunter2" ] && echo as it is
    echo "then $(plain), ${PLAIN-not in the environment}"
  displayName: then
`)
	tl := w.completed(w.one(runs))
	j := w.job(tl, "__default.Job")
	if tl.Run.Result != schedule.Succeeded || j.Steps[1].DisplayName != "early" {
		t.Errorf("%s", w.describe(tl))
	}
	w.has(w.log(j, "first"), "first ***, $(plain)\n")
	w.has(w.log(j, "all"), "2 secrets are taken from the variable group vault.")
	w.has(w.log(j, "then"), "as it is\n", "then ***, not in the environment\n")
}

// Templates of another host are read, and its sources checked out, with credentials that no job sees.
func TestRepositoryOfAnotherHost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hosted, work := filepath.Join(w.folder, "hosted"), filepath.Join(w.folder, "hosted-work")
	w.command("git", "init", "--quiet", "--bare", "-b", "main", filepath.Join(hosted, "octo", "tools.git"))
	w.command("git", "init", "--quiet", "-b", "main", work)
	commit := func(text string) string {
		t.Helper()
		w.write(filepath.Join(work, "steps.yml"), text, 0o644)
		w.command("git", "-C", work, "add", "-A")
		w.command("git", "-C", work, "commit", "--quiet", "-m", "Change the tools")
		w.command("git", "-C", work, "push", "--quiet", filepath.Join(hosted, "octo", "tools.git"), "HEAD:main")
		return w.command("git", "-C", work, "rev-parse", "HEAD")
	}
	commit("steps: []\n")
	second := commit("steps:\n- bash: echo by a template\n  displayName: templated\n")
	backend := filepath.Join(w.command("git", "--exec-path"), "git-http-backend")
	host := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "x-access-token" || password != "hunter2hunter2" {
			rw.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(rw, "who are you?", http.StatusUnauthorized)
			return
		}
		handler := cgi.Handler{Path: backend, Root: "/", InheritEnv: []string{"PATH"}, Env: []string{"GIT_PROJECT_ROOT=" + hosted, "GIT_HTTP_EXPORT_ALL=1", "GIT_PROTOCOL=" + r.Header.Get("Git-Protocol")}}
		handler.ServeHTTP(rw, r)
	}))
	t.Cleanup(host.Close)
	const file = `
resources:
  repositories:
  - repository: tools
    type: githubenterprise
    name: octo/tools
    endpoint: ghe
variables: {version: "$[ resources.repositories['tools'].version ]"}
steps:
- checkout: tools
  fetchDepth: 0
- template: steps.yml@tools
- bash: |
    git log --format='%H %s'
    echo "pinned $(version)"
    git config --local --get-regexp 'http.*' || echo no credentials
    env | grep -c hunter2hunter2 || true
  displayName: look
`
	problem := func(want string) {
		t.Helper()
		runs := w.push(file, "again", want)
		if len(runs) != 1 || len(runs[0].Problems) == 0 || !strings.Contains(runs[0].Problems[0].String(), want) {
			t.Errorf("runs %+v, want the problem %q", runs, want)
		}
	}
	problem(`azure-pipelines.yml:4:5: there is no service connection "ghe"`)
	w.connect(pipelines.Connection{Name: "ghe", Type: "githubenterprise", URL: host.URL, Scheme: "Token", Parameters: map[string]string{"apitoken": "wrong-wrong"}})
	problem("does not let these credentials in")
	c, err := w.Connection(t.Context(), w.source.repository.Project, "ghe")
	if err != nil {
		t.Fatal(err)
	}
	c.Parameters = map[string]string{"apitoken": "hunter2hunter2"}
	if _, err := w.UpdateConnection(t.Context(), c, slipway.System); err != nil {
		t.Fatal(err)
	}
	tl := w.completed(w.one(w.push(file, "again", "with the right token")))
	j := w.job(tl, "__default.Job")
	if tl.Run.Result != schedule.Succeeded {
		t.Fatalf("%s\n%s", w.describe(tl), w.log(j, "Checkout tools"))
	}
	w.has(w.log(j, "templated"), "by a template\n")
	w.has(w.log(j, "look"), second+" Change the tools\n", "pinned "+second+"\n", "no credentials\n0\n")
	if n := strings.Count(w.log(j, "look"), "Change the tools"); n != 2 {
		t.Errorf("%d commits of history:\n%s", n, w.log(j, "look"))
	}
	// The run stays with its commit, though the branch goes on, and its job fetches it from here, though the host is gone.
	commit("steps: [{bash: exit 1}]\n")
	host.Close()
	if err := w.Retry(t.Context(), tl.Run.ID, schedule.Again{Stage: "__default", All: true}, slipway.System); err != nil {
		t.Fatal(err)
	}
	tl = w.until(tl.Run.ID, "completed again", func(tl *pipelines.Timeline) bool {
		return tl.Run.State == pipelines.RunCompleted && w.job(tl, "__default.Job").Attempt == 2
	})
	if j = w.job(tl, "__default.Job"); tl.Run.Result != schedule.Succeeded {
		t.Errorf("%s", w.describe(tl))
	}
	w.has(w.log(j, "look"), second+" Change the tools\n")
	uses, err := w.ConnectionUses(t.Context(), &c, 10)
	if err != nil || len(uses) != 1 || uses[0].Run != tl.Run.ID || uses[0].Step != "files of another repository" {
		t.Errorf("uses %+v, %v", uses, err)
	}
}
