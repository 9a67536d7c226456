package jobserver_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/build"

	"slipway/internal/identity"
	"slipway/internal/pipelines/schedule"
)

// Files that steps attach are found by Azure's own client.
func TestAttachments(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada := w.person("ada", identity.RoleReader)
	run := w.one(w.push(`
steps:
- checkout: none
- bash: |
    echo first > notes.txt; echo second > more.log; echo third > report.txt # the agent reads them later than these lines run
    echo "##vso[task.uploadfile]$PWD/notes.txt"
    echo "##vso[build.uploadlog]more.log"
    echo "##vso[task.addattachment type=report;name=my notes]$PWD/report.txt"
    echo "##vso[task.addattachment type=report;name=gone]$PWD/gone.txt"
    echo "##vso[task.addattachment type=a/b;name=x]$PWD/notes.txt"
  displayName: attach
`))
	tl := w.completed(run)
	j := w.job(tl, "__default.Job")
	if tl.Run.Result != schedule.Succeeded {
		t.Fatalf("result %s:\n%s", tl.Run.Result, w.describe(tl))
	}
	log := w.log(j, "attach")
	for _, want := range []string{"task.addattachment: There is no file", "task.addattachment: the type of an attachment is"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
	ctx := context.Background()
	client, err := build.NewClient(ctx, azuredevops.NewPatConnection("http://"+w.address, ada.token))
	if err != nil {
		t.Fatal(err)
	}
	project, id := "Shop", int(run)
	for kind, want := range map[string]map[string]string{
		"DistributedTask.Core.FileAttachment": {"notes.txt": "first\n", "more.log": "second\n"},
		"report":                              {"my notes": "third\n"},
		"other":                               {},
	} {
		list, err := client.GetAttachments(ctx, build.GetAttachmentsArgs{Project: &project, BuildId: &id, Type: &kind})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, a := range *list {
			href := a.Links.(map[string]any)["self"].(map[string]any)["href"].(string)
			parts := strings.Split(href, "/")
			timeline, record := uuid.MustParse(parts[len(parts)-5]), uuid.MustParse(parts[len(parts)-4])
			content, err := client.GetAttachment(ctx, build.GetAttachmentArgs{Project: &project, BuildId: &id, TimelineId: &timeline, RecordId: &record, Type: &kind, Name: a.Name})
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(content)
			if err != nil {
				t.Fatal(err)
			}
			got[*a.Name] = string(text)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", kind, diff)
		}
	}
	r, err := http.NewRequest("GET", fmt.Sprintf("http://%s/Shop/_apis/build/builds/%d/%s/%s/attachments/report/none", w.address, id, uuid.New(), uuid.New()), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("", ada.token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("an attachment that is not there: %s", resp.Status)
	}
}

// What tests attach to their results is attached to the run, by the name of the test.
func TestAttachmentsOfTests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada := w.person("ada", identity.RoleReader)
	run := w.one(w.push(`
steps:
- checkout: none
- bash: |
    mkdir -p out/shots; echo before > out/shots/a.png
    echo '<test-run><test-case fullname="Shop.Adds" result="Passed"><attachments><attachment><filePath>shots/a.png</filePath></attachment>
    <attachment><filePath>shots/gone.png</filePath></attachment></attachments></test-case></test-run>' > out/result.xml
- task: PublishTestResults@2
  inputs: {testResultsFormat: NUnit, testResultsFiles: out/result.xml}
`))
	tl := w.completed(run)
	if tl.Run.Result != schedule.Succeeded {
		t.Fatalf("%s", w.describe(tl))
	}
	ctx := context.Background()
	client, err := build.NewClient(ctx, azuredevops.NewPatConnection("http://"+w.address, ada.token))
	if err != nil {
		t.Fatal(err)
	}
	project, id, kind := "Shop", int(run), "DistributedTask.Core.FileAttachment"
	list, err := client.GetAttachments(ctx, build.GetAttachmentsArgs{Project: &project, BuildId: &id, Type: &kind})
	if err != nil {
		t.Fatal(err)
	}
	if len(*list) != 1 || *(*list)[0].Name != "Adds - a.png" {
		t.Errorf("attachments %v", *list)
	}
}
