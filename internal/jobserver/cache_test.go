package jobserver_test

import (
	"context"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/schedule"
)

const cached = `
steps:
- task: Cache@2
  displayName: Cache modules of $(Build.SourceBranchName)
  inputs:
    key: 'modules | "$(Agent.OS)" | lock.txt'
    restoreKeys: |
      modules | "$(Agent.OS)"
      modules
    path: $(Pipeline.Workspace)/modules
    cacheHitVar: RESTORED
- task: CacheBeta@1
  displayName: Cache tools
  inputs: {key: tools, path: '$(PLACE)/tools'}
  env: {PLACE: $(Pipeline.Workspace)} # what is no variable is looked for in the environment
- bash: |
    echo "restored $RESTORED"
    cd $(Pipeline.Workspace)
    if [ "$RESTORED" != false ]; then ls -l modules; modules/run; readlink modules/link; cat tools/tool; fi
    mkdir -p modules tools
    printf '#!/bin/sh\necho I run\n' > modules/run && chmod 750 modules/run && ln -sf run modules/link
    cat s/lock.txt > modules/lock; cp s/lock.txt tools/tool
    %s
  displayName: work
`

func TestCacheTask(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	run := func(lock, last string) (pipelines.TimelineJob, *pipelines.Timeline) {
		t.Helper()
		tl := w.completed(w.one(w.push(strings.Replace(cached, "%s", last, 1), "lock.txt", lock)))
		return w.job(tl, "__default.Job"), tl
	}
	const main, post = "Cache modules of main", "Post-job: Cache modules of main"
	// Nothing to restore; a job that fails saves nothing.
	j, tl := run("one", "exit 1")
	if tl.Run.Result != schedule.Failed || !strings.Contains(w.log(j, "work"), "restored false\n") || !strings.Contains(w.log(j, post), "the job is Failed") {
		t.Errorf("a job that fails:\n%s\n%s", w.describe(tl), w.log(j, post))
	}
	if j, tl = run("one", "# again"); tl.Run.Result != schedule.Succeeded || !strings.Contains(w.log(j, "work"), "restored false\n") || !strings.Contains(w.log(j, post), "Saved 3 files") {
		t.Fatalf("the first cache:\n%s\n%s", w.describe(tl), w.log(j, post))
	}
	// Post-job steps come after the last step, in reverse order.
	var names []string
	for i, st := range j.Steps {
		if st.ID != i || st.State != schedule.Completed || st.LogSize == 0 {
			t.Errorf("step %d: %+v", i, st)
		}
		names = append(names, st.DisplayName)
	}
	if got, want := strings.Join(names[4:], ", "), "work, Post-job: Cache tools, "+post; got != want {
		t.Errorf("the last steps are %s, want %s", got, want)
	}
	j, _ = run("one", "# exact")
	for _, text := range []string{"restored true\n", "-rwxr-x---", "I run\nrun\none"} {
		if !strings.Contains(w.log(j, "work"), text) {
			t.Errorf("the exact cache: no %q:\n%s\n%s", text, w.log(j, main), w.log(j, "work"))
		}
	}
	if !strings.Contains(w.log(j, post), "there is a cache of this key already") {
		t.Errorf("an exact cache is saved again:\n%s", w.log(j, post))
	}
	if j, tl = run("two", "# inexact"); !strings.Contains(w.log(j, "work"), "restored inexact\n") || !strings.Contains(w.log(j, post), "Saved 3 files") {
		t.Errorf("a cache of a restore key:\n%s\n%s", w.log(j, "work"), w.log(j, post))
	}
	caches, err := w.ListCaches(context.Background(), pipelines.CacheFilter{Project: tl.Run.Project})
	if err != nil || len(caches) != 3 {
		t.Errorf("caches %+v, %v", caches, err)
	}
}

// Whatever is wrong with a cache, the job goes on; a key without files is a mistake of the file.
func TestCacheTrouble(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tl := w.completed(w.one(w.push(`
steps:
- task: Cache@2
  displayName: gone
  inputs: {key: 'a', path: nowhere}
- task: Cache@2
  displayName: mistaken
  continueOnError: true
  inputs: {key: 'a | missing.lock', path: nowhere}
- task: Cache@2
  displayName: kept
  inputs: {key: 'kept', path: kept, saveOnPartialSuccess: true}
- bash: mkdir kept; echo x > kept/file
  displayName: work
`)))
	j := w.job(tl, "__default.Job")
	results := map[string]schedule.Result{}
	issues := map[string]int{}
	for _, st := range j.Steps {
		results[st.DisplayName], issues[st.DisplayName] = st.Result, len(st.Issues)
	}
	if tl.Run.Result != schedule.SucceededWithIssues || results["mistaken"] != schedule.SucceededWithIssues || results["work"] != schedule.Succeeded || results["Post-job: mistaken"] != "" ||
		!strings.Contains(w.log(j, "Post-job: kept"), "Saved 1 files") || !strings.Contains(w.log(j, "Post-job: gone"), "Nothing is saved: the job is SucceededWithIssues") {
		t.Errorf("%s", w.describe(tl))
	}
	tl = w.completed(w.one(w.push("steps:\n- {task: Cache@2, displayName: gone, inputs: {key: a, path: nowhere}}\n- {task: Cache@2, displayName: broken, inputs: {key: b, path: broken}}\n- bash: mkdir broken; mkfifo broken/pipe; echo x > broken/file\n")))
	j = w.job(tl, "__default.Job")
	if tl.Run.Result != schedule.Succeeded || !strings.Contains(w.log(j, "Post-job: gone"), "##[warning]The cache is not saved: there is no folder ") || !strings.Contains(w.log(j, "Post-job: broken"), "1 sockets, pipes or devices are left out") {
		t.Fatalf("%s", w.describe(tl))
	}
	// What is stored is damaged: the job is told that nothing is restored, and goes on.
	ctx := context.Background()
	var keys []string
	if err := w.Blobs.List(ctx, "caches/", func(k string, _ int64) error { keys = append(keys, k); return nil }); err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if _, err := w.Blobs.Put(ctx, key, strings.NewReader("no archive")); err != nil {
			t.Fatal(err)
		}
	}
	tl = w.completed(w.one(w.push("steps:\n- {task: Cache@2, displayName: damaged, inputs: {key: b, path: broken, cacheHitVar: HIT}}\n- {bash: 'echo hit $HIT; ls broken', displayName: work}\n")))
	j = w.job(tl, "__default.Job")
	if log := w.log(j, "work"); !strings.Contains(log, "hit false\n") || !strings.Contains(log, "No such file") || !strings.Contains(w.log(j, "damaged"), "##[warning]The cache is not restored") {
		t.Errorf("%s\n%s", w.describe(tl), log)
	}
}

// Post-job steps run after a cancellation too, and save nothing.
func TestCacheOfCanceledJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.one(w.push("steps:\n- {task: Cache@2, displayName: keep, inputs: {key: a, path: kept}}\n- {bash: 'mkdir kept; echo waiting; sleep 600', displayName: wait}\n"))
	w.until(id, "waiting", func(tl *pipelines.Timeline) bool {
		for _, st := range w.job(tl, "__default.Job").Steps {
			if st.DisplayName == "wait" && st.State == schedule.Running && st.LogSize > 0 {
				return strings.Contains(w.log(w.job(tl, "__default.Job"), "wait"), "\nwaiting\n")
			}
		}
		return false
	})
	if err := w.Cancel(context.Background(), id, slipway.System); err != nil {
		t.Fatal(err)
	}
	tl := w.completed(id)
	if log := w.log(w.job(tl, "__default.Job"), "Post-job: keep"); tl.Run.Result != schedule.Canceled || !strings.Contains(log, "Nothing is saved: the job is Canceled") {
		t.Errorf("%s\n%s", w.describe(tl), log)
	}
}
