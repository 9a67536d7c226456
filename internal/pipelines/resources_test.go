package pipelines_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/pipelines/variable"
)

// define is a world with one pipeline of that file, whose branches have been read.
func define(t *testing.T, d *db.DB, text string) *world {
	t.Helper()
	w := setup(t, d)
	w.source.text = text
	w.source.tips = map[string]slipway.CommitID{"refs/heads/main": commit}
	if _, err := w.CreateDefinition(context.Background(), pipelines.Definition{Project: "p", Name: "app", Repository: "r", Path: pipelines.DefaultPath}); err != nil {
		t.Fatal(err)
	}
	w.startOwed()
	return w
}

const byImage = `
trigger: none
resources:
  containers:
  - container: Base
    image: localhost:8080/shop/base:latest
    trigger: {tags: {include: [v*], exclude: [v0*]}}
jobs:
- job: Job
  container: Base
  steps: [{bash: x}]
`

func TestRunForAnImage(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := define(t, d, byImage), context.Background()
		push := pipelines.ImagePush{Event: 5, Project: "p", Repository: "shop/base", Tag: "v1", Digest: "sha256:abc", Actor: slipway.Actor{Kind: slipway.ActorUser, ID: "1", Name: "Ada"}}
		for _, other := range []func(p *pipelines.ImagePush){
			func(p *pipelines.ImagePush) { p.Tag = "latest" }, func(p *pipelines.ImagePush) { p.Tag = "v0.1" }, func(p *pipelines.ImagePush) { p.Tag = "" },
			func(p *pipelines.ImagePush) { p.Project = "q" }, func(p *pipelines.ImagePush) { p.Repository = "shop/other" },
		} {
			one := push
			other(&one)
			if runs, err := w.ImagePushed(ctx, one); err != nil || len(runs) != 0 {
				t.Errorf("%+v starts %+v, %v", one, runs, err)
			}
		}
		for range 2 { // told twice
			if runs, err := w.ImagePushed(ctx, push); err != nil || len(runs) != 1 {
				t.Fatalf("%+v starts %+v, %v", push, runs, err)
			}
		}
		runs := w.runs()
		if len(runs) != 1 || runs[0].Reason != variable.ReasonResourceTrigger || runs[0].Commit != commit || runs[0].Actor.Name != "Ada" {
			t.Fatalf("runs %+v", runs)
		}
		if w.pods(); len(w.cluster.pods) != 1 {
			t.Fatalf("%d pods", len(w.cluster.pods))
		}
		for _, p := range w.cluster.pods {
			if p.Image != "localhost:8080/shop/base@sha256:abc" {
				t.Errorf("the job runs in %s and not in what was pushed", p.Image)
			}
		}
		a := w.do(runs[0].ID, "__default.Job", job.Completion{Result: schedule.Succeeded})
		for name, want := range map[string]string{"resources.triggeringAlias": "Base", "resources.triggeringCategory": "container", "resources.container.Base.tag": "v1",
			"resources.container.base.digest": "sha256:abc", "resources.container.Base.repository": "shop/base"} {
			if got := a.Variables.Text(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		// What a run of the pipeline pushes starts no run of it.
		push.Event, push.Run = 6, runs[0].ID
		if again, err := w.ImagePushed(ctx, push); err != nil || len(again) != 0 {
			t.Errorf("the run's own image starts %+v, %v", again, err)
		}
		if err := w.SetDisabled(ctx, runs[0].Pipeline, true); err != nil {
			t.Fatal(err)
		}
		push.Event, push.Run = 7, 0
		if again, err := w.ImagePushed(ctx, push); err != nil || len(again) != 0 {
			t.Errorf("a disabled pipeline: %+v, %v", again, err)
		}
	})
}

const byRepository = `
trigger: none
resources:
  repositories:
  - repository: Lib
    type: git
    name: library
    trigger: {branches: {include: [main]}, paths: {include: [src]}}
steps:
- checkout: self
- checkout: Lib
- bash: x
`

func TestRunForAnotherRepository(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := define(t, d, byRepository), context.Background()
		w.source.empty = "l" // which has no pipeline of its own
		w.source.names = map[slipway.RepositoryID]string{"l": "library"}
		push := func(event int64, branch, path string) []pipelines.Run {
			t.Helper()
			runs, err := w.Pushed(ctx, pipelines.Push{Event: event, Repository: "l", Ref: "refs/heads/" + branch, After: commitOf(event), Paths: []string{path}, Message: "m",
				Actor: slipway.Actor{Name: "Ada"}})
			if err != nil {
				t.Fatal(err)
			}
			return runs
		}
		if runs := append(push(3, "next", "src/a"), push(4, "main", "docs/a")...); len(runs) != 0 {
			t.Fatalf("pushes that do not trigger start %+v", runs)
		}
		runs := push(5, "main", "src/a")
		if again := push(5, "main", "src/a"); len(runs) != 1 || len(again) != 1 || again[0].ID != runs[0].ID {
			t.Fatalf("runs %+v, told again %+v", runs, again)
		}
		if runs[0].Commit != commit || runs[0].Repository != "r" || runs[0].Reason != variable.ReasonResourceTrigger {
			t.Errorf("run %+v", runs[0])
		}
		a := w.do(runs[0].ID, "__default.Job", job.Completion{Result: schedule.Succeeded})
		if got := a.Repositories["lib"]; got.Commit != commitOf(5) || got.Ref != "refs/heads/main" {
			t.Errorf("the job checks out %+v and not what was pushed", got)
		}
	})
}

const byWebhook = `
trigger: none
resources:
  webhooks:
  - webhook: Hook
    connection: git hub
    filters:
    - {path: action, value: opened}
    - {path: 'pull_request.labels[0]', value: bug}
steps:
- bash: echo ${{ parameters.Hook.pull_request.title }} ${{ parameters.Hook.number }}
`

func TestRunForAWebhook(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := define(t, d, byWebhook), context.Background()
		hook, err := w.CreateWebhook(ctx, pipelines.Webhook{Project: "p", Name: "Git Hub", Address: "WebHook"}, "It's a Secret to Everybody")
		if err != nil || hook.Header != "X-Hub-Signature" {
			t.Fatalf("%+v, %v", hook, err)
		}
		stored, err := db.One(ctx, d, db.Value[[]byte], `SELECT secret FROM pipeline_webhooks`)
		if err != nil || strings.Contains(string(stored), "Secret") {
			t.Errorf("the secret is stored as %q, %v", stored, err)
		}
		call := func(body, signature string) error {
			return w.CallWebhook(ctx, "webhook", func(name string) string {
				if name != "X-Hub-Signature" {
					t.Errorf("header %s is read", name)
				}
				return signature
			}, []byte(body))
		}
		// openssl dgst -sha1 -hmac "It's a Secret to Everybody" made the signatures.
		const body, signature = `{"action":"opened","number":7,"pull_request":{"title":"Sell hats","labels":["bug"]}}`, "f2a01807fc4ed72a30dcbb81a3f985d348bc340a"
		const other, otherSignature = `{"action":"closed"}`, "489651183032578a5e97c9fcff38d81ff0f8ac9f"
		for _, wrong := range []string{"", "sha1=", signature[:38], "sha1=" + strings.Repeat("0", 40)} {
			if err := call(body, wrong); slipway.CodeOf(err) != slipway.CodeForbidden {
				t.Errorf("signature %q: %v", wrong, err)
			}
		}
		for _, right := range []string{"sha1=" + signature, strings.ToUpper(signature)} {
			if err := call(body, right); err != nil {
				t.Fatal(err)
			}
		}
		if err := call(other, otherSignature); err != nil {
			t.Fatal(err)
		}
		if err := w.CallWebhook(ctx, "nowhere", nil, nil); slipway.CodeOf(err) != slipway.CodeNotFound {
			t.Errorf("an address that is none: %v", err)
		}
		w.restart() // and is killed before it starts the runs
		w.startOwed()
		w.startOwed()
		runs := w.runs()
		if len(runs) != 2 || runs[0].Reason != variable.ReasonResourceTrigger {
			t.Fatalf("runs %+v, want one for each call that passes the filters", runs)
		}
		a := w.do(runs[0].ID, "__default.Job", job.Completion{Result: schedule.Succeeded})
		if got := a.Steps[len(a.Steps)-1].Script.Text; got != "echo Sell hats 7" {
			t.Errorf("the step is %q: %+v", got, a.Steps[len(a.Steps)-1])
		}
		if names, err := w.WebhookPipelines(ctx, hook); err != nil || len(names) != 1 || names[0] != "app" {
			t.Errorf("it starts %v, %v", names, err)
		}
		// A run that nobody called has an empty body.
		if byHand, err := w.Queue(ctx, pipelines.QueueRequest{Pipeline: runs[0].Pipeline}); err != nil || len(byHand.Problems) > 0 {
			t.Errorf("by hand %+v, %v", byHand, err)
		}
		for range 1000 { // no more than so many in a minute, of which another may begin meanwhile
			if err = call(body, "sha1="+signature); err != nil {
				break
			}
		}
		if slipway.CodeOf(err) != slipway.CodeLimit {
			t.Errorf("many calls: %v", err)
		}
		if err := w.DeleteWebhook(ctx, "q", hook.ID); slipway.CodeOf(err) != slipway.CodeNotFound {
			t.Errorf("of another project: %v", err)
		}
		if err := w.DeleteWebhook(ctx, "p", hook.ID); err != nil {
			t.Error(err)
		}
	})
}

// JSON may say a backslash before u0000, NUL, and bytes that are no UTF-8: none of these keeps a call, or those behind it, waiting.
func TestWebhookBodies(t *testing.T) {
	t.Parallel()
	const file = "trigger: none\nresources: {webhooks: [{webhook: hook, connection: any}]}\nsteps:\n- bash: echo '${{ parameters.hook.text }}'\n"
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := define(t, d, file), context.Background()
		if _, err := w.CreateWebhook(ctx, pipelines.Webhook{Project: "p", Name: "any"}, ""); err != nil {
			t.Fatal(err)
		}
		bodies := []string{`{"text": "a\\u0000b"}`, `{"te\u0000xt": "a\u0000b", "list": ["\u0000"]}`, "{\"text\": \"a\xffb\"}", `{"text": "<&>"}`}
		want := []string{`echo 'a\u0000b'`, `echo 'ab'`, "echo 'a\ufffdb'", `echo '<&>'`}
		for _, body := range bodies {
			if err := w.CallWebhook(ctx, "any", func(string) string { return "" }, []byte(body)); err != nil {
				t.Fatalf("%q: %v", body, err)
			}
		}
		w.startOwed()
		var got []string
		for _, run := range w.runs() {
			a := w.do(run.ID, "__default.Job", job.Completion{Result: schedule.Succeeded})
			got = append(got, a.Steps[len(a.Steps)-1].Script.Text)
		}
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if n, err := db.One(ctx, d, db.Value[int], `SELECT COUNT(*) FROM pipeline_webhook_calls`); err != nil || n != 0 {
			t.Errorf("%d calls wait on, %v", n, err)
		}
	})
}

func TestWebhooksAreChecked(t *testing.T) {
	t.Parallel()
	w, ctx := setup(t, dbtest.SQLite(t)), context.Background()
	f := func(hook pipelines.Webhook, secret string, want slipway.Code) {
		t.Helper()
		hook.Project = "p"
		if _, err := w.CreateWebhook(ctx, hook, secret); slipway.CodeOf(err) != want {
			t.Errorf("%+v: %v, want %q", hook, err, want)
		}
	}
	f(pipelines.Webhook{}, "", slipway.CodeInvalid)
	f(pipelines.Webhook{Name: "a b"}, "", slipway.CodeInvalid) // the address is the name
	f(pipelines.Webhook{Name: "a", Header: "X-Y"}, "", slipway.CodeInvalid)
	f(pipelines.Webhook{Name: "a", Header: "X Y"}, "s", slipway.CodeInvalid)
	f(pipelines.Webhook{Name: "a"}, "", "")
	f(pipelines.Webhook{Name: "A", Address: "other"}, "", slipway.CodeConflict)
	f(pipelines.Webhook{Name: "b", Address: "A"}, "", slipway.CodeConflict)
	none := func(string) string { return "" }
	for body, want := range map[string]slipway.Code{`{}`: "", `[]`: slipway.CodeInvalid, ``: slipway.CodeInvalid, `null`: slipway.CodeInvalid, `{} {}`: slipway.CodeInvalid,
		strings.Repeat(`{"a":`, 60) + `1` + strings.Repeat(`}`, 60): slipway.CodeLimit} {
		if err := w.CallWebhook(ctx, "a", none, []byte(body)); slipway.CodeOf(err) != want {
			t.Errorf("body %.20s: %v, want %q", body, err, want)
		}
	}
}
