package main

import (
	"archive/tar"
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// upload stores files as an artifact of a run, as a person does.
func (j *job) upload(run, name string, files ...string) {
	j.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i+1 < len(files); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: files[i], Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(files[i+1]))}); err != nil {
			j.Fatal(err)
		}
		if _, err := w.Write([]byte(files[i+1])); err != nil {
			j.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		j.Fatal(err)
	}
	r, err := http.NewRequestWithContext(j.Context(), http.MethodPut, j.server.URL+"/Shop/_apis/slipway/builds/"+run+"/artifacts/"+name, &b)
	if err != nil {
		j.Fatal(err)
	}
	r.SetBasicAuth("", j.admin)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		j.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusCreated {
		j.Fatalf("the upload is answered %s", answer.Status)
	}
}

// The commands, options and queries are those of the documentation of the Azure CLI's extension azure-devops.
func TestAzRuns(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	j.ok("pipelines create --name shop --repository shop --yml-path /azure-pipelines.yml --skip-first-run")
	id := strings.TrimSpace(j.ok("pipelines run --name shop --query id -o tsv"))
	j.upload(id, "drop", "bin/app", "program", "read.me", "text")

	j.want("pipelines runs artifact list --run-id "+id+" --query [].name -o tsv", "drop\n")
	j.ok("pipelines runs artifact download --run-id " + id + " --artifact-name drop --path out/here")
	if diff := cmp.Diff(map[string]string{"bin/app": "program", "read.me": "text"}, filesIn(t, filepath.Join(j.env["HOME"], "out/here"))); diff != "" {
		t.Error(diff)
	}
	if info, err := os.Stat(filepath.Join(j.env["HOME"], "out/here/bin/app")); err != nil || info.Mode()&0o100 == 0 {
		t.Errorf("the program cannot be run: %v, %v", info, err)
	}
	j.fails(3, "pipelines runs artifact download --run-id "+id+" --artifact-name none --path out", `"none"`)
	j.fails(2, "pipelines runs artifact upload --run-id "+id+" --artifact-name x --path out", "publish with PublishPipelineArtifact@1")

	j.want("pipelines runs tag add --run-id "+id+" --tags signed v1 --query sort(@) -o tsv", "signed\nv1\n")
	j.want("pipelines runs tag delete --run-id "+id+" --tag signed -o tsv", "v1\n")
	j.want("pipelines runs tag list --run-id "+id+" -o json", "[\n  \"v1\"\n]\n")
	j.fails(2, "pipelines runs tag list --run-id x", "whole number")
}

func TestAzVariableGroups(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	j.fails(1, "pipelines variable-group create --name shared --variables a=1", "")
	j.env["AZURE_DEVOPS_EXT_PAT"] = j.admin
	id := strings.TrimSpace(j.ok("pipelines variable-group create --name shared --description all --variables region=eu size=xl --authorize false --query id -o tsv"))
	j.want("pipelines variable-group list --group-name sh* --query [].[id,name,description] -o tsv", id+"\tshared\tall\n")
	j.want("pipelines variable-group show --group-id "+id+" --query variables.region.value -o tsv", "eu\n")
	variable := "pipelines variable-group variable "
	j.want(variable+"create --group-id "+id+" --name colour --value blue", "{\n  \"colour\": {\n    \"isSecret\": null,\n    \"value\": \"blue\"\n  }\n}\n")
	j.fails(1, variable+"create --group-id "+id+" --name COLOUR --value red", "variable update")
	j.env["AZURE_DEVOPS_EXT_PIPELINE_VAR_key"] = "hunter2hunter2"
	j.want(variable+"create --group-id "+id+" --name key --secret true --query key.value -o tsv", "")
	j.ok(variable + "update --group-id " + id + " --name colour --new-name tint --value green")
	j.fails(2, variable+"create --group-id "+id+" --name empty", "--value")
	delete(j.env, "AZURE_DEVOPS_EXT_PIPELINE_VAR_key")
	j.fails(2, variable+"update --group-id "+id+" --name key --secret false", "the value of a secret is not told")
	j.ok(variable + "delete --group-id " + id + " --name size --yes")
	j.fails(3, variable+"delete --group-id "+id+" --name size --yes", `no variable "size"`)
	j.want(variable+"list --group-id "+id+" --query [key.isSecret,region.value,tint.value,size] -o json", "[\n  true,\n  \"eu\",\n  \"green\",\n  null\n]\n")
	groups, err := j.world.Pipelines.Groups(t.Context(), j.world.Project.ID)
	if err != nil || len(groups) != 1 || len(groups[0].Variables) != 3 {
		t.Fatalf("groups %+v, %v", groups, err)
	}
	j.want("pipelines variable-group update --group-id "+id+" --name common --query [name,description] -o tsv", "common\nall\n")
	j.fails(2, "pipelines variable-group update --group-id "+id+" --authorize", "set on its page")
	j.ok("pipelines variable-group delete --group-id " + id + " --yes")
	j.fails(3, "pipelines variable-group show --group-id "+id, "no variable group")
}

func TestAzDevOps(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	j.fails(1, "devops project list", "a job's token is good for its own project alone")
	j.env["AZURE_DEVOPS_EXT_PAT"] = j.admin
	j.want("devops project list --query value[].name -o tsv", "Shop\n")
	j.want("devops project show --query [name,state] -o tsv", "Shop\nwellFormed\n")
	delete(j.env, "AZURE_DEVOPS_EXT_PAT")
	j.want("devops service-endpoint list -o tsv", "")
	j.ok("pipelines create --name shop --repository shop --yml-path /azure-pipelines.yml --skip-first-run")
	id := strings.TrimSpace(j.ok("pipelines run --name shop --query id -o tsv"))
	j.want("devops invoke --area build --resource builds --route-parameters project=Shop buildId="+id+" --query id", id+"\n")
	j.want("devops invoke --area build --resource Builds --query-parameters definitions=1 --query value[].id -o tsv", id+"\n")
	folder := j.folder(map[string]string{"run.json": `{"templateParameters": {"target": "prod"}}`, "bad.json": "x"})
	j.ok("devops invoke --area pipelines --resource runs --route-parameters pipelineId=1 --http-method POST --in-file " + folder + "/run.json --api-version 7.1 --out-file " + folder + "/out.json")
	if out := filesIn(t, folder)["out.json"]; !strings.Contains(out, `"name"`) {
		t.Errorf("the answer is %s", out)
	}
	j.fails(2, "devops invoke --area pipelines --resource runs --route-parameters pipelineId=1 --http-method POST --in-file "+folder+"/bad.json", "is no JSON")
	j.fails(3, "devops invoke --area wit --resource queries", "there is no resource queries")
	j.fails(2, "devops project create --name x", "az devops project list and show are here")
}

// The commands and options are those of the documentation of the Azure CLI's extension azure-devops.
func TestAzBoards(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	j.env["AZURE_DEVOPS_EXT_PAT"] = j.admin
	j.want("boards work-item create --title Prices --type Bug --description wrong -f System.Tags=shop Microsoft.VSTS.Common.Priority=1 --query id", "1\n")
	j.ok("boards work-item create --type Task --title Look --fields System.Parent=1")
	j.want("boards work-item show --id 1 --query fields.[\"System.Title\",\"System.WorkItemType\",\"System.State\",\"System.Tags\"] -o tsv", "Prices\nBug\nNew\nshop\n")
	j.want("boards work-item update --id 1 --state Active --discussion looking --query fields.\"System.State\" -o tsv", "Active\n")
	j.fails(1, "boards work-item update --id 1 --state Nonsense", "Nonsense")
	j.fails(1, "boards work-item update --id 1 --assigned-to eve", `"eve" is no member of the project`)
	j.fails(2, "boards work-item update --id 1", "nothing is to change")
	j.fails(3, "boards work-item show --id 99", "there is no work item 99")
	j.fails(2, "boards work-item create --type Bug", "--title")
	j.fails(2, "boards work-item delete --id 1 --yes", "--state Removed")
	out, stderr, code := j.az("boards", "query", "--wiql", "SELECT [System.Id], [System.Title] FROM WorkItems WHERE [System.State] = 'New' OR [System.Parent] = 1", "--query", `[].fields."System.Title"`, "-o", "tsv")
	if out != "Look\n" || code != 0 {
		t.Errorf("the query gives %q, %d: %s", out, code, stderr)
	}
	_, stderr, code = j.az("boards", "query", "--wiql", "SELECT")
	if code == 0 || !strings.Contains(stderr, "query") {
		t.Errorf("half a query gives %d: %s", code, stderr)
	}
}
