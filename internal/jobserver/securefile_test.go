package jobserver_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/pipelines/schedule"
)

func TestDownloadSecureFile(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), context.Background()
	for _, name := range []string{"signing key.p12", "other.p12"} {
		if _, err := w.CreateSecureFile(ctx, w.source.repository.Project, name, []byte("the key\n"), slipway.System); err != nil {
			t.Fatal(err)
		}
	}
	tl := w.completed(w.one(w.push(`
steps:
- task: DownloadSecureFile@1
  name: key
  displayName: fetch
  inputs: {secureFile: Signing key.p12}
- task: DownloadSecureFile@1
  displayName: fetch again
  inputs: {secureFile: signing key.p12}
- bash: |
    echo "at $(key.secureFilePath), plain $SECUREFILEPATH"
    stat -c 'mode %a' "$(key.secureFilePath)"
    cat "$KEY_SECUREFILEPATH"
    echo "$(key.secureFilePath)" > $(Agent.TempDirectory)/../path
  displayName: use
- bash: echo "##vso[task.setvariable variable=late]other.p12"
- task: DownloadSecureFile@1
  displayName: late
  continueOnError: true
  inputs: {secureFile: $(late)}
- bash: |
    curl -sS -H "Authorization: Bearer $SLIPWAY_JOB_TOKEN" "$SLIPWAY_URL/_slipway/jobs/$(System.JobId)/securefiles?name=other.p12"
  displayName: steal
`)))
	j := w.job(tl, "__default.Job")
	folder := filepath.Join(w.executor.folder, "run-"+tl.Run.ID.String()+"-job-"+j.ID.String())
	path := filepath.Join(folder, "_temp", "signing key.p12")
	if log := w.log(j, "use"); !strings.Contains(log, "at "+path+", plain "+path+"\nmode 600\nthe key\n") {
		t.Errorf("%s\n%s", w.describe(tl), log)
	}
	if j.Outputs["key.secureFilePath"] != path {
		t.Errorf("outputs %v", j.Outputs)
	}
	if b, err := os.ReadFile(filepath.Join(folder, "path")); err != nil || strings.TrimSpace(string(b)) != path {
		t.Errorf("the path is %q, %v", b, err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the file outlives the job: %v", err)
	}
	if log := w.log(j, "late"); tl.Run.Result != schedule.SucceededWithIssues || !strings.Contains(log, `##[error]download secure file "other.p12": no step of this job names`) {
		t.Errorf("a name that a step sets:\n%s", log)
	}
	if log := w.log(j, "steal"); !strings.Contains(log, `"code":"forbidden"`) {
		t.Errorf("a file that no step names:\n%s", log)
	}
}
