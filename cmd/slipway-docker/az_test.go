package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	stdlog "log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"slipway"
	"slipway/internal/api"
	"slipway/internal/blob"
	"slipway/internal/boards"
	"slipway/internal/clock"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/images/imagestest"
	"slipway/internal/ociserver"
	"slipway/internal/pipelines/pipelinestest"
	"slipway/internal/programtest"
	"slipway/internal/registry"
)

// programs is a folder with docker as it is built for jobs, and az beside it as the agent installs it.
var programs = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "slipway-az-")
	if err != nil {
		return "", err
	}
	if out, err := exec.Command("go", "build", "-o", filepath.Join(folder, "docker"), ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	built = folder
	return folder, os.Symlink("docker", filepath.Join(folder, "az"))
})

// built is the folder of programs, "" if no test needed it.
var built string

func TestMain(m *testing.M) {
	inStep() // if this file runs as a program in a build step
	code := m.Run()
	if built != "" {
		os.RemoveAll(built)
	}
	os.Exit(code)
}

// job is a job's surroundings: a server with a registry and pipelines, and the environment that the agent gives.
type job struct {
	*testing.T
	server *httptest.Server
	world  *pipelinestest.World
	env    map[string]string
	admin  string
}

const pipelineFile = `
trigger: none
parameters:
- {name: target, type: string, default: dev}
steps:
- script: echo ${{ parameters.target }}
`

func newJob(t *testing.T) *job {
	t.Helper()
	folder, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	p := pipelinestest.Open(t, "Shop", pipelineFile)
	ctx, d := context.Background(), dbtest.SQLite(t)
	log, err := events.Open(ctx, d, clock.System{}, p.Logger)
	if err != nil {
		t.Fatal(err)
	}
	files, err := blob.OpenFiles(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	images, err := registry.Open(ctx, d, log, files, clock.System{}, p.Logger, registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	rest := api.New(p.Identity, p.Logger, "http://localhost")
	rest.AddPipelines(p.Pipelines)
	items, err := boards.Open(ctx, d, log, clock.System{})
	if err != nil {
		t.Fatal(err)
	}
	rest.AddWorkItems(items)
	mux := http.NewServeMux()
	registry := ociserver.New(images, p.Identity, p.Logger)
	mux.Handle("/v2/", registry)
	mux.Handle("/acr/v1/", registry)
	mux.Handle("/Shop/_apis/", rest.Handler())
	mux.Handle("/_apis/", rest.Handler())
	server := httptest.NewServer(httpx.Middleware(p.Logger, mux))
	t.Cleanup(server.Close)
	token, err := p.Identity.IssueToken(ctx, identity.TokenRequest{Kind: identity.TokenJob, Actor: slipway.Actor{Kind: slipway.ActorJob, ID: "7", Name: "build"},
		Project: p.Project.ID, Binding: identity.Binding{Run: 3, Job: 7}, Life: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	return &job{T: t, server: server, world: p, admin: p.Token(t), env: map[string]string{"SLIPWAY_URL": server.URL, "SLIPWAY_JOB_TOKEN": token,
		"SLIPWAY_REGISTRY_HOST": "registry.test:5000", "SYSTEM_TEAMPROJECT": "Shop", "SYSTEM_TEAMPROJECTID": string(p.Project.ID),
		"SYSTEM_COLLECTIONURI": "http://slipway.example/", "BUILD_BUILDID": "12", "HOME": home, "PATH": os.Getenv("PATH") + ":" + folder}}
}

func (j *job) host() string { return strings.TrimPrefix(j.server.URL, "http://") }

// az runs the program with words, and gives what it wrote with its exit code.
func (j *job) az(args ...string) (stdout, stderr string, code int) {
	j.Helper()
	folder, err := programs()
	if err != nil {
		j.Fatal(err)
	}
	cmd := exec.CommandContext(j.Context(), filepath.Join(folder, "az"), args...)
	cmd.Env, cmd.Dir = j.environ(), j.env["HOME"]
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		j.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func (j *job) environ() []string {
	var env []string
	for k, v := range j.env {
		env = append(env, k+"="+v)
	}
	return env
}

// ok runs a line that must end well, split at blanks, and gives its output.
func (j *job) ok(line string) string {
	j.Helper()
	stdout, stderr, code := j.az(strings.Fields(line)...)
	if code != 0 {
		j.Fatalf("az %s ended with %d:\n%s%s", line, code, stdout, stderr)
	}
	return stdout
}

func (j *job) want(line, want string) {
	j.Helper()
	if got := j.ok(line); got != want {
		j.Errorf("az %s:\n%s\nwant\n%s", line, got, want)
	}
}

// fails runs a line that must end with the code and a message that holds the words.
func (j *job) fails(code int, line string, words ...string) {
	j.Helper()
	stdout, stderr, got := j.az(strings.Fields(line)...)
	if got != code || stdout != "" {
		j.Errorf("az %s ended with %d, want %d:\n%s%s", line, got, code, stdout, stderr)
	}
	for _, w := range words {
		if !strings.Contains(stderr, w) {
			j.Errorf("az %s: no %q in\n%s", line, w, stderr)
		}
	}
}

// push puts a random image into the registry by another client, and gives its digest.
func (j *job) push(image string) string {
	j.Helper()
	i, err := random.Image(64, 1)
	if err != nil {
		j.Fatal(err)
	}
	ref, err := name.ParseReference(j.host()+"/"+image, name.Insecure)
	if err != nil {
		j.Fatal(err)
	}
	if err := remote.Write(ref, i, remote.WithAuth(&authn.Basic{Username: "job", Password: j.env["SLIPWAY_JOB_TOKEN"]})); err != nil {
		j.Fatal(err)
	}
	digest, err := i.Digest()
	if err != nil {
		j.Fatal(err)
	}
	return digest.String()
}

func TestAzRegistry(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	one, two := j.push("shop/web:v1"), j.push("shop/web:v2")
	j.push("shop/api:v1")
	j.want("acr repository list -n whatever -o tsv", "shop/api\nshop/web\n")
	j.want("acr repository list --name whatever --top 1", "[\n  \"shop/api\"\n]\n")
	j.want("acr repository show-tags -n whatever --repository web -otsv", "v1\nv2\n")
	j.want("acr repository show-tags -n whatever --repository shop/web --query length(@)", "2\n")
	j.want("acr repository show-tags -n x --repository whatever.azurecr.io/web --detail --query [].[name,digest] -o tsv", "v1\t"+one+"\nv2\t"+two+"\n")
	j.want("acr repository show -n x --image web:v2 --query digest -o tsv", two+"\n")
	j.want("acr repository show -n x --image web@"+one+" --query digest --output=tsv", one+"\n")
	j.want("acr repository show -n x --repository web --query tagCount", "2\n")
	j.want("acr repository show-manifests -n x --repository web --query [?tags[0]=='v1'].digest -o tsv", one+"\n")
	j.want("acr manifest list-metadata -r x -n web --query length([])", "2\n")
	j.want("acr manifest show -r x -n web:v1 --query layers[].mediaType|length(@)", "1\n")
	j.want("acr show -n mine --query loginServer -o tsv", "registry.test:5000\n")
	j.want("acr show --name mine --query [name,loginServer,adminUserEnabled] -o tsv", "mine\nregistry.test:5000\nfalse\n")
	j.want("acr login -n mine --expose-token --query accessToken --output tsv", j.env["SLIPWAY_JOB_TOKEN"]+"\n")
	j.want("acr credential show -n mine --query passwords[0].value -o tsv", j.env["SLIPWAY_JOB_TOKEN"]+"\n")
	j.want("acr check-health -n mine --yes", "")
	j.fails(3, "acr repository show-tags -n x --repository nothing", "nothing")
	j.fails(3, "acr repository show -n x --image web:v9", "web:v9")
	j.fails(2, "acr repository show-tags -n x", "--repository")
	j.want("acr repository show-tags -n x --repository web --orderby time_desc -o tsv", "v2\nv1\n")
	j.want("acr repository show-tags -n x --repository web --orderby time_asc --top 1 -o tsv", "v1\n")
	j.want("acr manifest list-metadata -r x -n web --orderby time_desc --query [].digest -o tsv", two+"\n"+one+"\n")
	j.fails(2, "acr repository show-tags -n x --repository web --orderby size", "invalid choice: 'size'")
	j.fails(2, "acr repository show-tags -n x --repository web --query [", "--query")
	j.fails(2, "acr repository show-tags -n x --repository web -o xml", "invalid choice")
}

func TestAzDelete(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	digest := j.push("shop/web:v1")
	j.push("shop/web:v2")
	// A job may push and not delete: the registry says so, and a person's token may be given.
	j.fails(1, "acr repository delete -n x --image web:v1 --yes", "neither deletes nor locks")
	j.fails(2, "acr repository delete -n x --image web:v1", "--yes")
	j.want("acr repository untag -n x --image web:v2 -u ada -p "+j.admin, "")
	j.want("acr repository show-tags -n x --repository web -o tsv", "v1\n")
	j.want("acr repository delete -n x --image web:v1 -y --username ada --password "+j.admin+" --query manifestsDeleted -o tsv", digest+"\n")
	j.want("acr repository show-tags -n x --repository web -o tsv", "")
}

func TestAzLock(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	digest, ada := j.push("shop/web:v1"), " -u ada -p "+j.admin
	j.fails(1, "acr repository update -n x --image web:v1 --write-enabled false", "neither deletes nor locks")
	j.want("acr repository update -n x --image web:v1 --write-enabled false --query changeableAttributes.writeEnabled"+ada, "false\n")
	j.want("acr repository show -n x --image web:v1 --query [changeableAttributes.deleteEnabled,changeableAttributes.writeEnabled] -o tsv", "true\nfalse\n")
	j.fails(1, "acr repository untag -n x --image web:v1"+ada, "is locked")
	j.fails(1, "acr repository delete -n x --image web@"+digest+" -y"+ada, "is locked")
	j.want("acr manifest update-metadata -r x -n web:v1 --write-enabled true --query changeableAttributes.writeEnabled"+ada, "true\n")
	j.want("acr manifest update-metadata x.azurecr.io/web@"+digest+" --delete-enabled false --query changeableAttributes.deleteEnabled -r x"+ada, "false\n")
	j.fails(1, "acr repository delete -n x --image web:v1 -y"+ada, "is locked")
	j.want("acr repository update -n x --repository web --read-enabled false --query changeableAttributes.readEnabled"+ada, "false\n")
	j.fails(1, "acr manifest show -r x -n web:v1", "is locked")
	j.fails(2, "acr repository update -n x --repository web"+ada, "give one of --delete-enabled")
	j.fails(2, "acr repository update -n x --repository web --read-enabled perhaps"+ada, "expected true or false")
}

func TestAzLogin(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	stdout, stderr, code := j.az("acr", "login", "--name", "mine")
	if code != 0 || stdout != "Login Succeeded\n" || !strings.Contains(stderr, "registry.test:5000/shop/NAME") {
		t.Fatalf("az acr login ended with %d: %s%s", code, stdout, stderr)
	}
	var config struct{ Auths map[string]dockerAuth }
	b, err := os.ReadFile(filepath.Join(j.env["HOME"], ".docker", "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &config); err != nil || config.Auths["registry.test:5000"].Auth == "" {
		t.Errorf("docker's config.json is %s (%v)", b, err)
	}
	j.env["SLIPWAY_JOB_TOKEN"] = strings.Repeat("a", 52)
	j.fails(1, "acr login --name mine", "credentials")
}

// az acr import copies every platform of an image, byte for byte.
func TestAzImport(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	elsewhere := httptest.NewServer(ggcr.New(ggcr.Logger(stdlog.New(io.Discard, "", 0))))
	t.Cleanup(elsewhere.Close)
	var index v1.ImageIndex
	index, err := random.Index(64, 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	index = mutate.Annotations(index, map[string]string{"a": "b"}).(v1.ImageIndex)
	host := strings.TrimPrefix(elsewhere.URL, "http://")
	ref, err := name.ParseReference(host+"/team/base:1", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(ref, index); err != nil {
		t.Fatal(err)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	j.ok("acr import -n mine --source " + host + "/team/base:1 --image base:latest -t base:1")
	j.want("acr repository show -n mine --image base:1 --query digest -o tsv", digest.String()+"\n")
	j.want("acr manifest show -r mine -n base:latest --query annotations.a -o tsv", "b\n")
	j.fails(1, "acr import -n mine --source "+host+"/team/base:1 --image base:1", "--force")
	j.ok("acr import -n mine --source " + host + "/team/base:1 --image base:1 --force")
	// Without --image the name is the source's, below the project.
	j.ok("acr import -n mine --source " + host + "/team/base:1")
	j.want("acr repository show-tags -n mine --repository team/base -o tsv", "1\n")
	// Within the registry.
	j.ok("acr import -n mine --source base:1 --image promoted:prod")
	j.want("acr repository show -n mine --image promoted:prod --query digest -o tsv", digest.String()+"\n")
	j.fails(3, "acr import -n mine --source "+host+"/team/nothing:1", "import "+host+"/team/nothing:1")
}

func TestAzPipelines(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	created := j.ok("pipelines create --name shop --repository shop --yml-path /azure-pipelines.yml --skip-first-run --query id -o tsv")
	if created != "1\n" {
		t.Fatalf("created pipeline %q", created)
	}
	j.want("pipelines list --query [].[id,name] -o tsv", "1\tshop\n")
	j.want("pipelines show --name shop --query [name,queueStatus,id] -o tsv", "shop\nenabled\n1\n")
	id := strings.TrimSpace(j.ok("pipelines run --name shop --branch next --parameters target=prod --variables colour=blue size=xl --query id -o tsv"))
	j.want("pipelines runs show --id "+id+" --query [sourceBranch,definition.name,reason] -o tsv", "refs/heads/next\nshop\nManual\n")
	again := strings.TrimSpace(j.ok("pipelines build queue --definition-id 1 --query id -o tsv"))
	j.want("pipelines runs list --query [].id -o tsv", again+"\n"+id+"\n")
	j.want("pipelines runs list --branch next --pipeline-ids 1 --query [].id -o tsv", id+"\n")
	j.want("pipelines runs list --pipeline-ids 1 2 --top 1 --query [].id -o tsv", again+"\n")
	j.want("pipelines runs list --reason schedule --query length(@)", "0\n")
	j.want("pipelines runs list --status inProgress --query [].id -o tsv", again+"\n"+id+"\n")
	j.want("pipelines runs list --status completed --result failed -o tsv", "")
	j.ok("pipelines build cancel --build-id " + again)
	number, err := strconv.ParseInt(again, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	if run, err := j.world.Pipelines.Get(t.Context(), slipway.RunID(number)); err != nil || !run.Canceled {
		t.Errorf("the run is not cancelled: %+v, %v", run, err)
	}
	j.want("pipelines runs list --query-order QueueTimeDesc --org http://slipway.example/ -p Shop --query length(@)", "2\n")

	j.fails(3, "pipelines show --name other", `"other"`)
	j.fails(2, "pipelines show", "--id or --name")
	j.fails(2, "pipelines run --id 1 --parameters target", "NAME=VALUE")
	j.fails(1, "pipelines run --id 1 --parameters nothing=1", `no parameter "nothing"`)
	j.fails(2, "pipelines list --organization https://dev.azure.com/contoso", "another server")
	j.fails(1, "pipelines list --project Other", "")

	j.ok("devops configure --defaults organization=http://slipway.example/ project=Other")
	j.want("devops configure -l", "[defaults]\norganization = http://slipway.example/\nproject = Other\n")
	j.fails(1, "pipelines list")
	j.ok("devops configure --defaults project=Shop")
	j.want("pipelines list --query [].name -o tsv", "shop\n")
}

func TestAzAccount(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	project := j.env["SYSTEM_TEAMPROJECTID"]
	j.want("account show --query id -o tsv", project+"\n")
	j.want("account list --query [?isDefault].name --output tsv", "Shop\n")
	j.want("account set -s=some-subscription", "")
	j.want("account get-access-token --resource 499b84ac-1321-427f-aa17-267ca6975798 --query accessToken -o tsv", j.env["SLIPWAY_JOB_TOKEN"]+"\n")
	j.fails(2, "account get-access-token --resource https://storage.azure.com/", "there is no token for https://storage.azure.com")
	j.want("login --service-principal -u a -p b --tenant c --query [0].name -o tsv --only-show-errors", "Shop\n")
	j.want("logout", "")
	j.want("extension add --name azure-devops --yes", "")
	j.fails(2, "extension add --name aks-preview", "aks-preview")
	j.want("config set extension.use_dynamic_install=yes_without_prompt", "")
	j.want(`version --query "azure-cli" -o tsv`, "2.77.0\n")
	if out := j.ok("--version"); !strings.Contains(out, "azure-cli") || !strings.Contains(out, "no Azure") {
		t.Errorf("az --version: %s", out)
	}
	if out := j.ok("acr repository --help"); !strings.Contains(out, "az acr repository show-tags") {
		t.Errorf("az acr repository --help: %s", out)
	}
	j.fails(2, "keyvault secret show --name a --vault-name b", "no Azure", "variable group")
	j.fails(2, "vmss list -g x", "no Azure")
	j.fails(2, "boards area team list", "there is one area")
	j.fails(2, "account show --frobnicate", "unrecognized arguments: --frobnicate")
	j.fails(2, "acr login --name", "expected a value")
}

// The forms of output, as the Azure CLI writes them ("Output formats for Azure CLI commands" of its documentation).
func TestAzOutput(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	j.push("shop/web:v1")
	const show = "acr show -n mine --query {server:loginServer,name:name,admin:adminUserEnabled,none:nothing,list:[name,name]} "
	j.want(show+"-o json", "{\n  \"admin\": false,\n  \"list\": [\n    \"mine\",\n    \"mine\"\n  ],\n  \"name\": \"mine\",\n  \"none\": null,\n  \"server\": \"registry.test:5000\"\n}\n")
	j.want(show+"-o tsv", "False\t2\tmine\tNone\tregistry.test:5000\n")
	j.want(show+"-o yaml", "admin: false\nlist:\n    - mine\n    - mine\nname: mine\nnone: null\nserver: registry.test:5000\n")
	j.want(show+"-o table", "Admin  Name  Server\n-----  ----  ------------------\nFalse  mine  registry.test:5000\n")
	j.want(show+"-o none", "")
	j.want("acr show -n mine --query nothing", "")
}

// A command that Slipway does not have goes to an az further down on PATH, with its arguments and exit code.
func TestAzPassesOn(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	folder, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	real := t.TempDir()
	fakeAzure := "#!/bin/sh\necho \"real: $*\"\nexit 7\n"
	if err := programtest.Write(filepath.Join(real, "az"), fakeAzure); err != nil {
		t.Fatal(err)
	}
	j.env["PATH"] = folder + ":" + real + ":" + os.Getenv("PATH")
	stdout, _, code := j.az("vmss", "list", "-g", "a b")
	if code != 7 || stdout != "real: vmss list -g a b\n" {
		t.Errorf("ended with %d: %s", code, stdout)
	}
	j.want("account show --query name -o tsv", "Shop\n")
	j.env["PATH"] = real + ":" + folder // one that comes before is not called: it would have been called at once
	j.fails(2, "vmss list", "no Azure")
}

func TestAzBuildArguments(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	j.fails(2, "acr build --registry mine --image app:1", "the folder to build")
	j.fails(2, "acr build --registry mine --image app:1 --platform windows .", "for Linux")
	// There is no builder here; docker says so, once.
	_, stderr, code := j.az("acr", "build", "-r", "mine", "-t", "app:{{.Run.ID}}", ".")
	if code != 1 || strings.Count(stderr, "ERROR:") != 1 || !strings.Contains(stderr, "SLIPWAY_BUILDER_URL") {
		t.Errorf("ended with %d: %s", code, stderr)
	}
	if diff := cmp.Diff(1, strings.Count(stderr, "\n")); diff != "" {
		t.Errorf("lines of %q: %s", stderr, diff)
	}
}

func TestAzBuild(t *testing.T) {
	t.Parallel()
	w := imagestest.New(t, imagestest.Setup{Protect: func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/v2/team/") }})
	fakeServer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { // of a project without a policy about pushes
		_, _ = w.Write([]byte(`{"enforced":false}`))
	}))
	t.Cleanup(fakeServer.Close)
	env := map[string]string{"DOCKER_CONFIG": t.TempDir(), "SLIPWAY_BUILDER_URL": "unix://" + w.Socket, "SLIPWAY_REGISTRY_HOST": imagestest.Host,
		"SLIPWAY_JOB_TOKEN": "secret-token", "SYSTEM_COLLECTIONURI": fakeServer.URL + "/", "SYSTEM_TEAMPROJECT": "Team", "BUILD_BUILDID": "12"}
	dir := w.Folder(map[string]string{"build/Dockerfile": "FROM busybox:1\nARG WHO\nRUN echo $WHO > /who\nCOPY a.txt /\n", "a.txt": "a"})
	var out, errs bytes.Buffer
	p := program{getenv: func(k string) string { return env[k] }, stdin: strings.NewReader(""), stdout: &out, stderr: &errs}
	args := []string{"acr", "build", "--registry", "mine", "--image", "app:{{.Run.ID}}", "-t", "app:latest", "--file", "build/Dockerfile", "--build-arg", "WHO=az", dir}
	if code := p.az().Main(t.Context(), args); code != 0 || out.Len() > 0 {
		t.Fatalf("az acr build ended with %d:\n%s%s", code, &out, &errs)
	}
	for _, tag := range []string{"12", "latest"} {
		files := imagestest.Files(t, w.Pull("team/app:"+tag))
		if files["who"] != "az\n" || files["a.txt"] != "a" {
			t.Errorf("files of app:%s are %v", tag, files)
		}
	}
}
