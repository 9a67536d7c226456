package agent

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/variable"
)

// fakeGitHub answers as docs.github.com/rest describes releases, tags and commits of one repository. Its addresses are those of GitHub
// Enterprise.
type fakeGitHub struct {
	*httptest.Server
	mu       sync.Mutex
	calls    []string          // METHOD PATH, guarded by mu
	bodies   map[string]string // by call, guarded by mu
	releases string            // JSON
	answers  map[string]string // other answers, by METHOD PATH: a status of three digits, a blank and JSON
}

func newFakeGitHub(t *testing.T, releases string, answers map[string]string) *fakeGitHub {
	t.Helper()
	g := &fakeGitHub{bodies: map[string]string{}, releases: releases, answers: answers}
	g.Server = httptest.NewServer(g)
	t.Cleanup(g.Close)
	return g
}

func (g *fakeGitHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const top = "/api/v3/repos/ada/shop/"
	call := r.Method + " " + strings.TrimPrefix(r.URL.Path, top)
	if r.URL.Query().Get("name") != "" {
		call += "?name=" + r.URL.Query().Get("name")
	}
	body, _ := io.ReadAll(r.Body)
	g.mu.Lock()
	g.calls = append(g.calls, call)
	g.bodies[call] = string(body)
	g.mu.Unlock()
	release := `{"id": 7, "tag_name": "v2", "html_url": "https://github.example/ada/shop/releases/v2", "upload_url": "` + g.URL + `/api/uploads/7/assets{?name,label}", "assets": [{"id": 70, "name": "old.zip"}]}`
	say := func(text string) { _, _ = io.WriteString(w, text) }
	answer, known := g.answers[call]
	switch {
	case r.Header.Get("Authorization") != "Bearer gh-token-1234":
		w.WriteHeader(http.StatusUnauthorized)
		say(`{"message": "Bad credentials"}`)
	case known:
		w.WriteHeader(map[string]int{"404": 404, "422": 422, "200": 200}[answer[:3]])
		say(answer[4:])
	case call == "GET releases":
		if r.URL.Query().Get("page") == "" { // the releases are on the second page
			w.Header().Set("Link", `<`+g.URL+r.URL.Path+`?per_page=100&page=2>; rel="next"`)
			say(`[{"id": 1, "tag_name": "v0", "draft": true}]`)
			return
		}
		say(g.releases)
	case call == "POST releases":
		w.WriteHeader(http.StatusCreated)
		say(release)
	case call == "PATCH releases/7":
		say(release)
	case r.Method == http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
	case strings.HasPrefix(call, "POST /api/uploads/7/assets?name="):
		w.WriteHeader(http.StatusCreated)
		say(`{}`)
	case call == "GET tags":
		say(`[{"name": "v2", "commit": {"sha": "c2"}}, {"name": "nightly", "commit": {"sha": "c2"}}, {"name": "v1", "commit": {"sha": "c1"}}]`)
	case call == "GET compare/c1...c2":
		say(`{"status": "ahead", "commits": [{"sha": "aaa", "commit": {"message": "first for #3\n\nFixes #3, gh-5 and ada/shop#6;\nsee its/tools#7 #7, x#8, #9a and #5"}}, {"sha": "c2", "commit": {"message": "second, closes #4"}}]}`)
	case call == "GET releases/latest":
		say(`{"id": 1, "tag_name": "v1"}`)
	default:
		w.WriteHeader(http.StatusNotFound)
		say(`{"message": "Not Found"}`)
	}
}

// job is a job that has a connection to it.
func (g *fakeGitHub) job(t *testing.T) *toolJob {
	t.Helper()
	j := newToolJob(t, map[string]string{variable.BuildSourceVersion: "c2", variable.BuildSourceBranch: "refs/heads/main", variable.BuildBuildID: "12",
		variable.SystemCollectionURI: "https://slipway.example/", variable.SystemTeamProject: "my web"})
	j.withConnections(job.Connection{Name: "hub", Type: "github", URL: g.URL, Parameters: map[string]string{"accessToken": "gh-token-1234"}, Secret: []string{"accessToken"}})
	return j
}

func TestGitHubRelease(t *testing.T) {
	t.Parallel()
	const changes = "notes\n\n## Changes:\n\n* c2 second, closes #4\n* aaa first for #3 [ #5, #6, its/tools#7, #7 ]\n\nThis list of changes was [auto generated](https://slipway.example/my%20web/_build/results?buildId=12&view=logs)."
	for name, tt := range map[string]struct {
		task    string
		given   map[string]string
		answers map[string]string
		calls   []string          // that change something
		body    map[string]string // of the release: some of what is sent, in JSON
		fails   string
	}{
		"make, with the tag of the commit, changes and files": {task: "GitHubRelease@1",
			given: map[string]string{"tagPattern": "v.*", "releaseNotesSource": "inline", "releaseNotesInline": "notes", "assets": "out/*.zip", "isPreRelease": "true", "title": "Two"},
			calls: []string{"POST releases", "POST /api/uploads/7/assets?name=a.zip", "POST /api/uploads/7/assets?name=b.zip"},
			body:  map[string]string{"tag_name": `"v2"`, "target_commitish": `"c2"`, "name": `"Two"`, "prerelease": "true", "draft": "false", "make_latest": `"true"`, "body": quoted(changes)}},
		"two tags of the commit":            {task: "GitHubRelease@1", given: map[string]string{}, fails: "commit c2 has the tags v2 and nightly: give one as tag, or a tagPattern"},
		"no tag that fits makes no release": {task: "GitHubRelease@1", given: map[string]string{"tagPattern": "v9"}},
		"version 0": {task: "GitHubRelease@0", given: map[string]string{"tagSource": "manual", "tag": "v3", "releaseNotesSource": "input", "releaseNotes": "hi", "addChangeLog": "false", "assets": "out"},
			calls: []string{"POST releases"}, body: map[string]string{"tag_name": `"v3"`, "body": `"hi"`}},
		"there already": {task: "GitHubRelease@1", given: map[string]string{"tagSource": "userSpecifiedTag", "tag": "v3", "addChangeLog": "false", "assets": ""},
			answers: map[string]string{"POST releases": `422 {"message": "Validation Failed", "errors": [{"resource": "Release", "code": "already_exists", "field": "tag_name"}]}`},
			calls:   []string{"POST releases"}, fails: "there is a release of the tag v3 in ada/shop already: write action: edit"},
		"a file that cannot be uploaded takes the release back": {task: "GitHubRelease@1", given: map[string]string{"tagSource": "userSpecifiedTag", "tag": "v3", "addChangeLog": "false", "assets": "out/a.zip"},
			answers: map[string]string{"POST /api/uploads/7/assets?name=a.zip": `422 {"message": "too large"}`},
			calls:   []string{"POST releases", "POST /api/uploads/7/assets?name=a.zip", "DELETE releases/7"}, fails: "upload a.zip: GitHub answered 422 Unprocessable Entity: too large"},
		"change, and replace all files": {task: "GitHubRelease@1", given: map[string]string{"action": "edit", "tag": "v2", "addChangeLog": "false", "assets": "out/a.zip"},
			calls: []string{"PATCH releases/7", "DELETE releases/assets/70", "POST /api/uploads/7/assets?name=a.zip"}, body: map[string]string{"tag_name": `"v2"`}},
		"change, and replace those of the same name": {task: "GitHubRelease@1", given: map[string]string{"action": "edit", "tag": "v2", "addChangeLog": "false", "assets": "out/b.zip", "assetUploadMode": "replace"},
			calls: []string{"PATCH releases/7", "POST /api/uploads/7/assets?name=b.zip"}},
		"delete":                   {task: "GitHubRelease@1", given: map[string]string{"action": "delete", "tag": "v2"}, calls: []string{"DELETE releases/7"}},
		"delete what is not there": {task: "GitHubRelease@1", given: map[string]string{"action": "delete", "tag": "v8"}, fails: "there is no release of the tag v8 in ada/shop"},
		"no repository of GitHub":  {task: "GitHubRelease@1", given: map[string]string{"repositoryName": "shop"}, fails: `"shop" is not the name of a repository at GitHub: write OWNER/NAME`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newFakeGitHub(t, `[{"id": 7, "tag_name": "v2"}]`, tt.answers)
			j := g.job(t)
			j.write("out/a.zip", "A")
			j.write("out/b.zip", "B")
			given := map[string]string{"gitHubConnection": "hub", "repositoryName": "ada/shop"}
			for name, text := range tt.given {
				given[name] = text
			}
			log, err := j.run(tt.task, given)
			if (err == nil) != (tt.fails == "") || err != nil && err.Error() != tt.fails {
				t.Fatalf("%v, want %s\n%s", err, tt.fails, log)
			}
			var calls []string
			var body string
			for _, c := range g.calls {
				if !strings.HasPrefix(c, "GET ") {
					calls = append(calls, c)
				}
				if c == "POST releases" || c == "PATCH releases/7" {
					body = g.bodies[c]
				}
			}
			if diff := cmp.Diff(tt.calls, calls); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			var sent map[string]json.RawMessage
			if body != "" {
				if err := json.Unmarshal([]byte(body), &sent); err != nil {
					t.Fatal(err)
				}
			}
			for key, want := range tt.body {
				if got := string(sent[key]); got != want {
					t.Errorf("%s is %s, want %s", key, got, want)
				}
			}
			if strings.Contains(log, "gh-token") {
				t.Errorf("the token is in the log:\n%s", log)
			}
		})
	}
}

func quoted(text string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	_ = e.Encode(text) // escapes & as json.Marshal does
	return strings.TrimSpace(b.String())
}

func TestGitHubAPI(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{"": "https://api.github.com", "https://github.com/": "https://api.github.com", "https://GitHub.com": "https://api.github.com",
		"https://code.example": "https://code.example/api/v3", "https://code.example/api/v3/": "https://code.example/api/v3"} {
		if got, err := gitHubAPI(&job.Connection{URL: address}); err != nil || got != want {
			t.Errorf("%s: %s, %v", address, got, err)
		}
	}
	if _, err := gitHubAPI(&job.Connection{Name: "x", URL: "ssh://x"}); err == nil {
		t.Error("an address of another protocol is taken")
	}
}

// _getInitialCommit in ChangeLog.ts of GitHubReleaseV1 goes back 250 commits, over as many pages as that takes, or to the first one.
func TestGitHubReleaseWithoutAnEarlierOne(t *testing.T) {
	t.Parallel()
	for count, want := range map[int]string{0: "c2", 120: "c119", 300: "c249"} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			page, _ := strconv.Atoi(r.URL.Query().Get("page"))
			var list []map[string]string
			for i := page * 100; i < min(count, page*100+100); i++ {
				list = append(list, map[string]string{"sha": fmt.Sprintf("c%d", i)})
			}
			if page*100+100 < count {
				w.Header().Set("Link", fmt.Sprintf(`<http://%s%s?sha=c2&page=%d>; rel="next"`, r.Host, r.URL.Path, page+1))
			}
			_ = json.NewEncoder(w).Encode(list)
		}))
		t.Cleanup(server.Close)
		j := newToolJob(t, nil)
		j.withConnections(job.Connection{Name: "hub", Type: "github", URL: server.URL, Parameters: map[string]string{"accessToken": "gh-token-1234"}, Secret: []string{"accessToken"}})
		spool, err := j.reports.open(1)
		if err != nil {
			t.Fatal(err)
		}
		step := j.newTask(&plan.Step{ID: 1}, &job.StepRecord{}, &stepLog{spool: spool, mask: j.mask})
		step.ctx = t.Context()
		g, err := step.github("hub", "ada/shop")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := (&releaseTask{github: g}).firstCommit("c2"); err != nil || got != want {
			t.Errorf("of %d commits the first is %s, %v, want %s", count, got, err, want)
		}
	}
}
