package jobserver_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/extension"
	"slipway/internal/pipelines/schedule"
)

// packed is a task of testdata with the npm packages that it needs, as a zip file.
func packed(t *testing.T, name string) *bytes.Reader {
	t.Helper()
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS(filepath.Join("testdata", name))); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("npm", "install", "--no-audit", "--no-fund", "--silent", "--omit=dev", "--no-bin-links", "--no-package-lock")
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("npm install: %v\n%s", err, out)
	}
	tasks, err := extension.Open([]string{folder})
	if err != nil {
		t.Fatal(err)
	}
	defer tasks.Close()
	var b bytes.Buffer
	if _, err := tasks.Tasks[0].WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(b.Bytes())
}

// A task made with Azure's own libraries finds everything where its library looks for it.
func TestUploadedTask(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), context.Background()
	file := packed(t, "deliver")
	if _, err := w.UploadTasks(ctx, file, file.Size(), false, slipway.System); err != nil {
		t.Fatal(err)
	}
	if _, err := w.CreateSecureFile(ctx, w.source.repository.Project, "signing key.p12", []byte("the certificate\n"), slipway.System); err != nil {
		t.Fatal(err)
	}
	_, err := w.CreateConnection(ctx, pipelines.Connection{Project: w.source.repository.Project, Name: "Backend of ours", Type: "generic", URL: "https://backend.example.com/api",
		Scheme: "UsernamePassword", Parameters: map[string]string{"username": "ada", "password": "battery-staple"}, Data: map[string]string{"region.name": "north"}, AllPipelines: true}, slipway.System)
	if err != nil {
		t.Fatal(err)
	}
	tl := w.completed(w.one(w.push(`
variables: {my.colour: blue}
steps:
- bash: |
    echo "##vso[task.setvariable variable=api.key;issecret=true]correct-horse"
    echo heavy > parcel.txt
  displayName: prepare
- task: Deliver@1
  name: deliver
  inputs: {message: Hello, parcel: parcel.txt, certificate: Signing key.p12, service: backend of ours}
- bash: echo "receipt $(deliver.receipt), plain $(plain), $DELIVER_RECEIPT, weight $(deliver.weight)"
  displayName: use
- task: Deliver@1
  displayName: again
  continueOnError: true
  inputs: {greeting: Bye, mode: bad, why it fails: nobody is at home, parcel: parcel.txt}
- bash: |
    curl -sS -H "Authorization: Bearer $SLIPWAY_JOB_TOKEN" "$SLIPWAY_URL/_slipway/jobs/$(System.JobId)/tasks/sha256:` + strings.Repeat("0", 64) + `"
  displayName: steal
`)))
	j := w.job(tl, "__default.Job")
	says := func(step, want string) {
		t.Helper()
		if log := w.log(j, step); !strings.Contains("\n"+log, "\n"+strings.TrimLeft(want, "\n")) {
			t.Errorf("%s:\n%s\nhas no\n%s", step, log, want)
		}
	}
	says("Pre-job: Deliver Hello", "before: Hello\n")
	says("Pre-job: again", "before: Bye\n")
	says("Deliver Hello", `
Task         : Deliver
Version      : 1.4.2
greeting Hello, loud false, mode good, why undefined
parcel parcel.txt true, address . false
in .
key of 13: ***, secret true
colour blue, secret false
ticket T-42
left in the environment: nothing
service https://backend.example.com/api, UsernamePassword, UsernamePassword
user ada, ada, region north
password of 14: ***
certificate signing key.p12: the certificate
##[warning]the parcel is fragile
`)
	says("use", "receipt R-17, plain P-18, R-17, weight 3 kg\n")
	says("again", "greeting Bye, loud false, mode bad, why nobody is at home\n")
	says("again", "##[error]nobody is at home\n")
	says("Post-job: Deliver Hello", "after: ticket T-42, the job has SucceededWithIssues\n")
	says("steal", `{"code":"forbidden"`)
	var order []string
	for _, st := range j.Steps {
		order = append(order, st.DisplayName+" "+string(st.Result))
	}
	if got, want := strings.Join(order, ", "), "Initialize job Succeeded, Pre-job: Deliver Hello Succeeded, Pre-job: again Succeeded, Checkout self Succeeded, prepare Succeeded, "+
		"Deliver Hello Succeeded, use Succeeded, again SucceededWithIssues, steal Succeeded, Post-job: again Succeeded, Post-job: Deliver Hello Succeeded"; got != want {
		t.Errorf("steps\n%s, want\n%s", got, want)
	}
	if j.Outputs["deliver.receipt"] != "R-17" || j.Outputs["deliver.weight"] != "3 kg" || tl.Run.Result != schedule.SucceededWithIssues {
		t.Errorf("%s, outputs %v", tl.Run.Result, j.Outputs)
	}
	if st := step(j, "again"); st.Errors != 1 || st.Issues[0].Message != "the parcel is fragile" || st.Issues[1].Message != "nobody is at home" {
		t.Errorf("issues %+v", st.Issues)
	}
}

func step(j pipelines.TimelineJob, name string) pipelines.Step {
	for _, st := range j.Steps {
		if st.DisplayName == name {
			return st
		}
	}
	return pipelines.Step{}
}

const plainTask = `{"id": "6b4c7d2f-0a3e-4b69-9a8f-2e3d4c5b6a71", "name": "Plain", "version": {"Major": 1, "Minor": 0, "Patch": 0}, "execution": {"Node24": {"target": "run.js"}}}`

// uploadPlain uploads a task without packages that runs a script.
func uploadPlain(w *world, script string) pipelines.Task {
	w.t.Helper()
	return uploadManifest(w, plainTask, script)
}

func uploadManifest(w *world, manifest, script string) pipelines.Task {
	w.t.Helper()
	folder := w.t.TempDir()
	w.write(filepath.Join(folder, "task.json"), manifest, 0o644)
	w.write(filepath.Join(folder, "run.js"), script, 0o644)
	tasks, err := extension.Open([]string{folder})
	if err != nil {
		w.t.Fatal(err)
	}
	defer tasks.Close()
	var b bytes.Buffer
	if _, err := tasks.Tasks[0].WriteTo(&b); err != nil {
		w.t.Fatal(err)
	}
	list, err := w.UploadTasks(context.Background(), bytes.NewReader(b.Bytes()), int64(b.Len()), true, slipway.System)
	if err != nil {
		w.t.Fatal(err)
	}
	return list[0]
}

// The job's image decides about Node.js: it is missed, or too old, and the step says so.
func TestUploadedTaskWithoutNode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	uploadPlain(w, "console.log('runs')")
	early := strings.NewReplacer("6b4c7d2f", "7b4c7d2f", "Plain", "Early", `"execution"`, `"prejobexecution"`).Replace(plainTask)
	uploadManifest(w, early, "console.log('runs')")
	w.write(filepath.Join(w.executor.folder, "old", "node"), "#!/bin/sh\n[ \"$1\" = --version ] && echo v18.20.4 || echo ran \"$(basename \"$1\")\"\n", 0o755)
	tl := w.completed(w.one(w.push(`
steps:
- task: Plain@1
  displayName: old
  condition: always()
  env: {PATH: ` + filepath.Join(w.executor.folder, "old") + `:/usr/bin:/bin}
- task: Plain@1
  displayName: none
  env: {PATH: ` + filepath.Join(w.executor.folder, "none") + `}
  condition: always()
- task: Early@1
  displayName: early
  env: {PATH: ` + filepath.Join(w.executor.folder, "none") + `}
`)))
	j := w.job(tl, "__default.Job")
	if log := w.log(j, "old"); !strings.Contains(log, "##[warning]Task Plain asks for Node.js 24, and the job's image has v18.20.4: it may fail. UseNode@1 installs another.\nran run.js\n") {
		t.Errorf("old:\n%s", log)
	}
	if log := w.log(j, "none"); !strings.Contains(log, "##[error]Task Plain runs on Node.js 24, and there is no program node in the job's image: give the job a container that has it, or put UseNode@1 before the step.\n") {
		t.Errorf("none:\n%s", log)
	}
	if log := w.log(j, "Pre-job: early"); !strings.Contains(log, "##[error]Task Early runs on Node.js 24, and there is no program node in the job's image: give the job a container that has it; its part before the job runs before any UseNode@1.\n") {
		t.Errorf("early:\n%s", log)
	}
}

// A run keeps to the version that it was queued with, and says so when that is gone.
func TestUploadedTaskIsPinned(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), context.Background()
	first := uploadPlain(w, "console.log('first')")
	tl := w.completed(w.one(w.push("steps:\n- task: Plain@1\n")))
	if log := w.log(w.job(tl, "__default.Job"), "Plain"); !strings.Contains(log, "\nfirst\n") {
		t.Errorf("log:\n%s", log)
	}
	uploadPlain(w, "console.log('second')") // the same version, overwritten
	if err := w.Retry(ctx, tl.Run.ID, schedule.Again{Stage: "__default", All: true}, slipway.System); err != nil {
		t.Fatal(err)
	}
	tl = w.completed(tl.Run.ID)
	if log := w.log(w.job(tl, "__default.Job"), "Plain"); !strings.Contains(log, "task Plain@1 (1.0.0) was deleted or replaced after the run was queued: queue another run") {
		t.Errorf("log:\n%s", log)
	}
	if _, err := w.DeleteTask(ctx, first.ID, "", slipway.System); err != nil {
		t.Fatal(err)
	}
	runs := w.push("steps:\n- task: Plain@1\n# again\n")
	if got := runs[0].Problems; len(got) != 1 || !strings.Contains(got[0].Message, "unknown task Plain@1") {
		t.Errorf("problems %+v", got)
	}
}
