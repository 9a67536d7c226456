package pipelines_test

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

func hub(name string) pipelines.Connection {
	return pipelines.Connection{Project: "p", Name: name, Type: "DockerRegistry", Scheme: "UsernamePassword", Data: map[string]string{"registrytype": "Others"},
		Parameters: map[string]string{"registry": "https://registry.example:5000", "username": "ada", "password": "hunter2hunter2"}}
}

func TestConnections(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		made, err := w.CreateConnection(ctx, hub("Hub"), ada.Actor)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"registry": "https://registry.example:5000", "username": "ada", "password": ""}
		if diff := cmp.Diff(want, made.Parameters); diff != "" || made.Type != "dockerregistry" || made.URL != job.DockerHub {
			t.Errorf("made %+v\n%s", made, diff)
		}
		again, err := w.Connection(ctx, "p", "HUB")
		if len(again.Pipelines) == 0 {
			again.Pipelines = nil
		}
		if diff := cmp.Diff(made, again); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
		for _, column := range []string{"sealed", "parameters", "data"} {
			stored, err := db.One(ctx, d, db.Value[[]byte], `SELECT `+column+` FROM service_connections WHERE id = $1`, made.ID)
			if err != nil || bytes.Contains(stored, []byte("hunter2")) {
				t.Errorf("%s is stored as %q, %v", column, stored, err)
			}
		}
		f := func(name string, change func(*pipelines.Connection), code slipway.Code, message string) {
			t.Helper()
			c := hub(name)
			change(&c)
			if _, err := w.CreateConnection(ctx, c, ada.Actor); slipway.CodeOf(err) != code || !strings.Contains(err.Error(), message) {
				t.Errorf("%s: %v, want %s %q", name, err, code, message)
			}
		}
		f("hUB", func(*pipelines.Connection) {}, slipway.CodeConflict, "already")
		f(" ", func(*pipelines.Connection) {}, slipway.CodeInvalid, "up to 200 characters")
		f("https://hub", func(*pipelines.Connection) {}, slipway.CodeInvalid, "://")
		f("kind", func(c *pipelines.Connection) { c.Type = "a b" }, slipway.CodeInvalid, "write one of dockerregistry, kubernetes")
		f("scheme", func(c *pipelines.Connection) { c.Scheme = "OAuth9" }, slipway.CodeInvalid, "write UsernamePassword or ServicePrincipal")
		f("needs", func(c *pipelines.Connection) { c.Type, c.URL, c.Scheme = "kubernetes", "https://k", "" }, slipway.CodeInvalid, "needs the parameter kubeconfig")
		f("url", func(c *pipelines.Connection) { c.Type = "generic" }, slipway.CodeInvalid, "write a whole one")
		f("user", func(c *pipelines.Connection) { c.URL = "https://ada:pw@example.com" }, slipway.CodeInvalid, "names a user")
		f("host", func(c *pipelines.Connection) { c.Type = "ssh" }, slipway.CodeInvalid, "needs the data Host")
		f("long", func(c *pipelines.Connection) { c.Parameters["password"] = strings.Repeat("x", 64<<10+1) }, slipway.CodeLimit, "password")
		f("pipeline", func(c *pipelines.Connection) { c.Pipelines = []slipway.PipelineID{77} }, slipway.CodeNotFound, "no pipeline 77")
		// A type that is not known is an extension's, and kept as it is. The private key of SSH is a secret though it is data.
		other := hub("other")
		other.Type, other.URL, other.Data = "sonarqube", "https://sonar.example", map[string]string{"PrivateKey": "hunter2hunter2"}
		if c, err := w.CreateConnection(ctx, other, ada.Actor); err != nil || c.Data["PrivateKey"] != "" || c.Type != "sonarqube" {
			t.Errorf("%+v, %v", c, err)
		}
		if list, err := w.Connections(ctx, "p"); err != nil || len(list) != 2 || list[0].Name != "Hub" {
			t.Errorf("list %+v, %v", list, err)
		}
		if list, err := w.Connections(ctx, "q"); err != nil || len(list) != 0 {
			t.Errorf("another project has %+v, %v", list, err)
		}
		if _, err := w.Connection(ctx, "q", made.ID); slipway.CodeOf(err) != slipway.CodeNotFound {
			t.Errorf("another project finds it: %v", err)
		}
		if err := w.DeleteConnection(ctx, "q", made.ID, ada.Actor); slipway.CodeOf(err) != slipway.CodeNotFound {
			t.Errorf("another project deletes it: %v", err)
		}
		if err := w.DeleteConnection(ctx, "p", "hub", ada.Actor); err != nil {
			t.Fatal(err)
		}
		if kinds := w.kinds(); kinds[pipelines.EventConnectionCreated] != 2 || kinds[pipelines.EventConnectionDeleted] != 1 {
			t.Errorf("events %v", kinds)
		}
	})
}

// Secrets that are not given stay, but not with another URL, and not with another way to authorize.
func TestUpdateConnection(t *testing.T) {
	t.Parallel()
	w, ctx := setup(t, dbtest.SQLite(t)), context.Background()
	c := pipelines.Connection{Project: "p", Name: "hooks", Type: "generic", URL: "https://hooks.example", Parameters: map[string]string{"username": "ada", "password": "hunter2hunter2"}, AllPipelines: true}
	c, err := w.CreateConnection(ctx, c, ada.Actor)
	if err != nil {
		t.Fatal(err)
	}
	f := func(what string, change func(*pipelines.Connection), message string, password string) {
		t.Helper()
		next := c
		next.Parameters = map[string]string{"username": "grace", "password": ""}
		change(&next)
		_, err := w.UpdateConnection(ctx, next, ada.Actor)
		if message == "" && err != nil || message != "" && (err == nil || !strings.Contains(err.Error(), message)) {
			t.Errorf("%s: %v, want %q", what, err, message)
		}
		opened := pipelines.OpenedForTest(w.Service, c.ID)
		if opened.Parameters["password"] != password {
			t.Errorf("%s: the password is %q, want %q", what, opened.Parameters["password"], password)
		}
	}
	f("kept", func(*pipelines.Connection) {}, "", "hunter2hunter2")
	f("not sent", func(n *pipelines.Connection) { delete(n.Parameters, "password") }, "", "hunter2hunter2")
	f("another URL", func(n *pipelines.Connection) { n.URL = "https://evil.example" }, "give its secrets again", "hunter2hunter2")
	f("another type", func(n *pipelines.Connection) { n.Type = "ssh" }, "which does not change", "hunter2hunter2")
	f("a new one", func(n *pipelines.Connection) { n.URL, n.Parameters["password"] = "https://new.example", "swordfish" }, "", "swordfish")
	f("another scheme", func(n *pipelines.Connection) { n.URL, n.Scheme, n.Parameters = "https://new.example", "None", nil }, "", "")
}

// Where secrets are sent stands beside the URL in some types: a registry, and the host of SSH.
func TestMovedConnection(t *testing.T) {
	t.Parallel()
	w, ctx := setup(t, dbtest.SQLite(t)), context.Background()
	f := func(c pipelines.Connection, message string, change func(*pipelines.Connection)) {
		t.Helper()
		c.Project, c.Name = "p", c.Type
		c, err := w.CreateConnection(ctx, c, ada.Actor)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.UpdateConnection(ctx, c, ada.Actor); err != nil {
			t.Errorf("%s as it was: %v", c.Type, err)
		}
		change(&c)
		if _, err := w.UpdateConnection(ctx, c, ada.Actor); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%s: %v, want %q", c.Type, err, message)
		}
		c.Parameters["password"] = "swordfish"
		if _, err := w.UpdateConnection(ctx, c, ada.Actor); err != nil {
			t.Errorf("%s with its secret: %v", c.Type, err)
		}
	}
	f(pipelines.Connection{Type: "dockerregistry", Parameters: map[string]string{"registry": "https://hub.example", "username": "ada", "password": "hunter2hunter2"}},
		"another registry now", func(c *pipelines.Connection) { c.Parameters["registry"] = "https://evil.example" })
	f(pipelines.Connection{Type: "ssh", Parameters: map[string]string{"username": "ada", "password": "hunter2hunter2"}, Data: map[string]string{"Host": "a.example", "Port": "22"}},
		"another Host now", func(c *pipelines.Connection) { c.Data["Host"] = "evil.example" })
}

const naming = `
variables: {which: hub, late: none}
resources:
  containers:
  - container: build
    image: build:1
    endpoint: hub
steps:
- task: Docker@2
  displayName: sign in
  inputs: {command: login, containerRegistry: $(which)}
- task: npmAuthenticate@0
  inputs: {workingFile: .npmrc, customEndpoint: 'npm, npm2'}
- task: Docker@2
  inputs: {command: login, containerRegistry: $(set)}
`

func TestConnectionsOfARun(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		problems := func(text string, want ...string) pipelines.Run {
			t.Helper()
			run := w.push(text)[0]
			var got []string
			for _, p := range run.Problems {
				got = append(got, p.String())
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("problems (-want +got)\n%s", diff)
			}
			return run
		}
		const file = "azure-pipelines.yml:"
		problems(naming,
			file+"5:5: there is no service connection \"hub\" in this project: an administrator makes it under Settings, Service connections",
			file+"13:33: there is no service connection \"npm\" in this project: an administrator makes it under Settings, Service connections",
			file+"13:33: there is no service connection \"npm2\" in this project: an administrator makes it under Settings, Service connections")
		if _, err := w.CreateConnection(ctx, hub("Hub"), ada.Actor); err != nil {
			t.Fatal(err)
		}
		npm := pipelines.Connection{Project: "p", Name: "npm", Type: "externalnpmregistry", URL: "https://npm.example/", Parameters: map[string]string{"apitoken": "token-of-npm"}, AllPipelines: true}
		if _, err := w.CreateConnection(ctx, npm, ada.Actor); err != nil {
			t.Fatal(err)
		}
		problems(naming,
			file+"5:5: the pipeline may not use the service connection \"Hub\": an administrator of the project allows it under Settings, Service connections",
			file+"11:28: the pipeline may not use the service connection \"Hub\": an administrator of the project allows it under Settings, Service connections",
			file+"13:33: there is no service connection \"npm2\", did you mean \"npm\"?")
		npm.Name = "npm2"
		if _, err := w.CreateConnection(ctx, npm, ada.Actor); err != nil {
			t.Fatal(err)
		}
		if _, err := w.PermitConnection(ctx, "p", "hub", nil, map[slipway.PipelineID]bool{1: true}, ada.Actor); err != nil {
			t.Fatal(err)
		}
		problems("steps: [{task: npmAuthenticate@0, inputs: {workingFile: .npmrc, customEndpoint: hub}}]\n",
			file+"1:65: service connection \"Hub\" is of type dockerregistry, and here stands one of type externalnpmregistry")
		// A registry's name that is none of a connection is this server's own, unless it looks like a slip.
		problems("steps: [{task: Docker@2, inputs: {command: login, containerRegistry: slipway}}]\n")
		problems("steps: [{task: Docker@2, inputs: {command: login, containerRegistry: nmp}}]\n")
		checked, err := w.Check(ctx, pipelines.Push{Repository: "r", Ref: "refs/heads/main", After: commit, PathsUnknown: true})
		if err != nil || len(checked) != 0 {
			t.Errorf("check %v, %v", checked, err)
		}
		w.source.text = "steps: [{task: npmAuthenticate@0, inputs: {workingFile: .npmrc, customEndpoint: nqm}}]\n"
		checked, err = w.Check(ctx, pipelines.Push{Repository: "r", Ref: "refs/heads/main", After: commit, PathsUnknown: true})
		if err != nil || len(checked) != 1 || checked[0].Message != `there is no service connection "nqm", did you mean "npm"?` || checked[0].Column != 65 {
			t.Errorf("check %v, %v", checked, err)
		}

		run := problems(naming)
		id := w.jobOf(run.ID)
		fetch := func(step int, name string, code slipway.Code, secret, value string) {
			t.Helper()
			c, err := w.FetchConnection(ctx, id, step, name)
			if slipway.CodeOf(err) != code || c.Parameter(secret) != value {
				t.Errorf("step %d, %q: %+v, %v", step, name, c, err)
			}
		}
		fetch(2, "HUB", "", "password", "hunter2hunter2")
		fetch(2, "hub", "", "password", "hunter2hunter2")
		fetch(3, "npm2", "", "apitoken", "token-of-npm")
		fetch(2, "npm", slipway.CodeForbidden, "apitoken", "")   // another step names it
		fetch(4, "hub", slipway.CodeForbidden, "password", "")   // by a variable that a step sets
		fetch(1, "hub", slipway.CodeForbidden, "password", "")   // the checkout
		fetch(4, "$(set)", slipway.CodeNotFound, "password", "") // names nothing
		if _, err := w.PermitConnection(ctx, "p", "hub", nil, map[slipway.PipelineID]bool{1: false}, ada.Actor); err != nil {
			t.Fatal(err)
		}
		fetch(2, "hub", slipway.CodeForbidden, "password", "")
		c, err := w.Connection(ctx, "p", "hub")
		if err != nil {
			t.Fatal(err)
		}
		uses, err := w.ConnectionUses(ctx, &c, 10)
		if err != nil || len(uses) != 1 || uses[0].Run != run.ID || uses[0].Job != id || uses[0].Instance != "__default.Job" || uses[0].PipelineName != "shop" {
			t.Errorf("uses %+v, %v", uses, err)
		}
		if n := w.kinds()[pipelines.EventConnectionUsed]; n != 2 {
			t.Errorf("%d events of a use", n)
		}
		if err := w.Complete(ctx, id, job.Completion{Result: schedule.Succeeded}); err != nil {
			t.Fatal(err)
		}
		fetch(3, "npm2", slipway.CodeConflict, "apitoken", "")
	})
}

// The images of a job's containers are pulled with the credentials of their connections.
func TestImagesOfAConnection(t *testing.T) {
	t.Parallel()
	w, ctx := setup(t, dbtest.SQLite(t)), context.Background()
	c := hub("hub")
	c.AllPipelines = true
	if _, err := w.CreateConnection(ctx, c, ada.Actor); err != nil {
		t.Fatal(err)
	}
	w.reconcile()
	run := w.push("container: {image: 'tools/build:1', endpoint: hub}\nservices:\n  db: {image: 'registry.example:5000/db:2', endpoint: hub}\n  cache: redis:8\nsteps: [{bash: x}]\n")[0]
	if len(run.Problems) > 0 {
		t.Fatal(run.Problems)
	}
	name := <-w.cluster.began
	w.cluster.mu.Lock()
	pod := w.cluster.pods[name]
	w.cluster.mu.Unlock()
	if diff := cmp.Diff([]pipelines.RegistryLogin{{Host: "registry.example:5000", User: "ada", Password: "hunter2hunter2"}}, pod.Registries); diff != "" {
		t.Error(diff)
	}
	if pod.Image != "registry.example:5000/tools/build:1" || pod.Services[0].Image != "registry.example:5000/db:2" || pod.Services[1].Image != "redis:8" {
		t.Errorf("images %s, %+v", pod.Image, pod.Services)
	}
}

// The pod of a job has a container for each target of its steps, which works as the job's user and is pulled with its own credentials.
func TestTargetsOfAJob(t *testing.T) {
	t.Parallel()
	w, ctx := setup(t, dbtest.SQLite(t)), context.Background()
	c := hub("hub")
	c.AllPipelines = true
	if _, err := w.CreateConnection(ctx, c, ada.Actor); err != nil {
		t.Fatal(err)
	}
	w.reconcile()
	run := w.push(`
resources:
  containers:
  - {container: build, image: 'golang:1', options: --user 1000}
  - {container: tools, image: '$(image):2', endpoint: hub, env: {A: $(image)}}
  - {container: other, image: 'busybox:1', options: -u 7}
variables: {image: tools/cli}
container: build
steps:
- {bash: x, target: tools}
- {bash: x, target: host}
- {bash: x, target: OTHER}
- {bash: x, target: {container: Tools, commands: restricted}}
`)[0]
	if len(run.Problems) > 0 {
		t.Fatal(run.Problems)
	}
	name := <-w.cluster.began
	w.cluster.mu.Lock()
	pod := w.cluster.pods[name]
	w.cluster.mu.Unlock()
	job, other := int64(1000), int64(7)
	want := []pipelines.PodService{{Name: "tools", Image: "registry.example:5000/tools/cli:2", Env: map[string]string{"A": "tools/cli"}, User: &job},
		{Name: "host", Image: pod.Targets[1].Image, User: &job}, {Name: "other", Image: "busybox:1", Env: map[string]string{}, User: &other}}
	if diff := cmp.Diff(want, pod.Targets); diff != "" {
		t.Error(diff)
	}
	if pod.Image != "golang:1" || !strings.HasSuffix(pod.Targets[1].Image, "/slipway/job:latest") || len(pod.Registries) != 1 {
		t.Errorf("images %s and %s, %+v", pod.Image, pod.Targets[1].Image, pod.Registries)
	}
}

func TestInvokeRESTAPIByAConnection(t *testing.T) {
	t.Parallel()
	callee := newCallee(t, func(r *http.Request) (int, string) {
		user, password, _ := r.BasicAuth()
		return http.StatusOK, `{"user": "` + user + `", "password": "` + password + `", "given": "` + r.Header.Get("Authorization") + `"}`
	})
	w, ctx := setup(t, dbtest.SQLite(t)), context.Background()
	w.deps.Networks = local
	w.restart()
	c := pipelines.Connection{Project: "p", Name: "hooks", Type: "generic", URL: callee.URL + "/api", Parameters: map[string]string{"username": "ada", "password": "hunter2hunter2"}, AllPipelines: true}
	if _, err := w.CreateConnection(ctx, c, ada.Actor); err != nil {
		t.Fatal(err)
	}
	f := func(inputs string, result schedule.Result, texts ...string) {
		t.Helper()
		run := w.push("pool: server\nsteps:\n- task: InvokeRESTAPI@0\n  inputs:\n    method: GET\n" + inputs)[0]
		if len(run.Problems) > 0 {
			t.Fatal(run.Problems)
		}
		w.goOn()
		w.goOn()
		w.ended(run.ID, "__default.Job", result, "", string(result))
		log := w.logOf(run.ID, "__default.Job", 1)
		for _, text := range texts {
			if !strings.Contains(log, text) {
				t.Errorf("no %q in\n%s", text, log)
			}
		}
		if strings.Contains(log, "hunter2") || strings.Contains(log, "YWRhOmh1bnRlcjJodW50ZXIy") {
			t.Errorf("the log has the password:\n%s", log)
		}
	}
	f("    serviceConnection: Hooks\n    urlSuffix: /x\n", schedule.Succeeded, "GET "+callee.URL+"/api/x\n", `{"user": "ada", "password": "***"`)
	f("    serviceConnection: Hooks\n    headers: '{\"authorization\": \"Bearer abc\"}'\n", schedule.Succeeded, `"given": "Bearer abc"`)
	f("    serviceConnection: $(late)\n", schedule.Failed, `##[error]there is no service connection "$(late)"`)
	if made := callee.made(); len(made) != 2 {
		t.Errorf("calls %v", made)
	}
}

const vaulted = `
steps:
- bash: before
- task: AzureKeyVault@2
  inputs: {azureSubscription: any, KeyVaultName: Shop-Vault, SecretsFilter: 'db-password, api-key', RunAsPreJob: true}
`

func TestKeyVault(t *testing.T) {
	t.Parallel()
	w, ctx := setup(t, dbtest.SQLite(t)), context.Background()
	problem := func(text, want string) pipelines.Run {
		t.Helper()
		run := w.push(text)[0]
		if want == "" && len(run.Problems) > 0 || want != "" && (len(run.Problems) != 1 || !strings.Contains(run.Problems[0].String(), want)) {
			t.Errorf("%v, want %q", run.Problems, want)
		}
		return run
	}
	problem(vaulted, `azure-pipelines.yml:4:3: there is no variable group "Shop-Vault": a key vault of Azure is the variable group of its name here`)
	group := pipelines.Group{Project: "p", Name: "shop-vault", Variables: []pipelines.GroupVariable{{Name: "api-key", Value: "hunter2", Secret: true}, {Name: "other", Value: "o"}}}
	put := func() {
		t.Helper()
		if _, err := w.PutGroup(ctx, group, slipway.Actor{}); err != nil {
			t.Fatal(err)
		}
	}
	put()
	problem(vaulted, `azure-pipelines.yml:4:3: variable group "Shop-Vault": it has no variable "db-password"`)
	problem(strings.Replace(vaulted, "Shop-Vault", "shop-valt", 1), `there is no variable group "shop-valt", did you mean "shop-vault"?`)
	group.Variables = append(group.Variables, pipelines.GroupVariable{Name: "db-password", Value: "plain"})
	put()
	run := problem(vaulted, "")
	id := w.jobOf(run.ID)
	list, err := w.FetchVault(ctx, id, 1) // before the checkout
	if diff := cmp.Diff([]job.VaultSecret{{Name: "db-password", Value: "plain"}, {Name: "api-key", Value: "hunter2"}}, list); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if _, err := w.FetchVault(ctx, id, 2); slipway.CodeOf(err) != slipway.CodeForbidden {
		t.Errorf("a step that names none: %v", err)
	}
	all := problem("steps: [{task: AzureKeyVault@1, inputs: {azureSubscription: any, keyVaultName: shop-vault}}]\n", "")
	if list, err := w.FetchVault(ctx, w.jobOf(all.ID), 2); err != nil || len(list) != 3 {
		t.Errorf("%+v, %v", list, err)
	}
}
