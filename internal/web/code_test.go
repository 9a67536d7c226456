package web_test

import (
	"context"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/boards"
	"slipway/internal/clock"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/coverage"
	"slipway/internal/repos"
	"slipway/internal/web"
)

// codeWorld serves the pages of a project `tools` with an empty repository `My Shop`.
type codeWorld struct {
	t              *testing.T
	repos          *repos.Service
	id             slipway.RepositoryID
	url            string
	folder         string // of the repositories
	runs           fakeRuns
	writer, reader string // tokens
	administrator  string
	outsider       string
	project        slipway.ProjectID
}

func newCodeWorld(t *testing.T) *codeWorld {
	t.Helper()
	return newCodeWorldOf(t, repos.SHA1)
}

func newCodeWorldOf(t *testing.T, format repos.ObjectFormat) *codeWorld {
	t.Helper()
	ctx, d, logger := context.Background(), dbtest.SQLite(t), slog.New(slog.DiscardHandler)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	log, err := events.Open(ctx, d, clock.System{}, logger)
	must(err)
	ident, err := identity.Open(ctx, d, log, clock.System{})
	must(err)
	w := &codeWorld{t: t, folder: t.TempDir()}
	w.repos, err = repos.Open(ctx, d, log, clock.System{}, w.folder, logger)
	must(err)
	t.Cleanup(func() { _ = w.repos.Close() })
	project, err := ident.CreateProject(ctx, slipway.System, "tools", "")
	must(err)
	repo, err := w.repos.Create(ctx, repos.CreateRequest{Project: project.ID, Name: "My Shop", ObjectFormat: format, Actor: slipway.System})
	must(err)
	w.id, w.project = repo.ID, project.ID
	token := func(name string, role identity.Role) string {
		u, err := ident.CreateUser(ctx, slipway.System, identity.NewUser{Name: name, Password: "battery staple"})
		must(err)
		must(ident.SetRole(ctx, slipway.System, project.ID, u.ID, role))
		s, err := ident.IssueToken(ctx, identity.TokenRequest{Kind: identity.TokenPersonal, Name: "test",
			Actor: slipway.Actor{Kind: slipway.ActorUser, ID: string(u.ID), Name: u.Name}})
		must(err)
		return s
	}
	w.writer, w.reader = token("Ada", identity.RoleContributor), token("Ben", identity.RoleReader)
	w.administrator = token("Cleo", identity.RoleAdministrator)
	u, err := ident.CreateUser(ctx, slipway.System, identity.NewUser{Name: "Dora", Password: "battery staple"})
	must(err)
	w.outsider, err = ident.IssueToken(ctx, identity.TokenRequest{Kind: identity.TokenPersonal, Name: "test", Actor: slipway.Actor{Kind: slipway.ActorUser, ID: string(u.ID), Name: u.Name}})
	must(err)
	pages := web.New(ident, log, logger, "http://slipway.test")
	items, err := boards.Open(ctx, d, log, clock.System{})
	must(err)
	pages.AddRepos(w.repos, items, &w.runs)
	w.repos.People = ident
	pages.AddRepositorySettings(w.repos)
	pages.AddPolicies(w.repos, fakePipelines{}, fakeValidate(w.repos))
	server := httptest.NewServer(pages.Handler())
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

// fakeRuns has one run of the trial merge of pull request 1, which covered lines of hats.md.
type fakeRuns struct {
	commit  slipway.CommitID
	covered []coverage.Line
	failed  []pipelines.TestName
}

func (r *fakeRuns) CoverageLines(_ context.Context, run slipway.RunID, path string) ([]coverage.Line, error) {
	if run != 4 || path != "hats.md" || r.covered == nil {
		return nil, slipway.NotFound("there is none")
	}
	return r.covered, nil
}

func (r *fakeRuns) CoverageFiles(context.Context, slipway.RunID, slipway.RunID) ([]pipelines.PartCoverage, error) {
	if r.covered == nil {
		return nil, nil
	}
	return []pipelines.PartCoverage{{Name: "hats.md"}}, nil
}

func (r *fakeRuns) CompareTests(_ context.Context, run slipway.RunID) (pipelines.TestChanges, error) {
	return pipelines.TestChanges{New: r.failed}, nil
}

func (r *fakeRuns) List(_ context.Context, f pipelines.RunFilter) ([]pipelines.Run, error) {
	if f.Ref != "refs/pull/1/merge" {
		return nil, nil
	}
	return []pipelines.Run{{ID: 4, Commit: r.commit, PipelineName: "tools", Number: "20260102.1", State: pipelines.RunCompleted, Result: "Succeeded"}}, nil
}

// do sends a request and follows redirects; it returns the last page.
func (w *codeWorld) do(token, method, path string, form url.Values) (int, string, *http.Response) {
	w.t.Helper()
	req, err := http.NewRequest(method, w.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	req.SetBasicAuth("x", token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return res.StatusCode, string(body), res
}

// comesLater finds what a page has not waited for: the address from which a browser brings it right after.
var comesLater = regexp.MustCompile(`hx-get="([^"]*)" hx-trigger="load"`)

// shows wants the page, with what comes later of it, to have all of these texts.
func (w *codeWorld) shows(path string, texts ...string) string {
	w.t.Helper()
	status, body, _ := w.do(w.reader, "GET", path, nil)
	if status != 200 {
		w.t.Errorf("GET %s: %d\n%s", path, status, body)
		return body
	}
	for _, part := range comesLater.FindAllStringSubmatch(body, -1) {
		status, rows, _ := w.do(w.reader, "GET", html.UnescapeString(part[1]), nil)
		if status != 200 {
			w.t.Errorf("GET %s, which %s brings: %d\n%s", part[1], path, status, rows)
		}
		body += rows
	}
	for _, text := range texts {
		if !strings.Contains(body, text) {
			w.t.Errorf("GET %s does not show %q:\n%s", path, text, body)
		}
	}
	return body
}

func TestCodePages(t *testing.T) {
	t.Parallel()
	w := newCodeWorld(t)
	const repo = "/tools/_git/My%20Shop"
	w.shows("/tools/_git", `href="/tools/_git/My%20Shop"`)
	w.shows(repo, "git remote add origin "+w.url+"/tools/_git/My%20Shop", "git push -u origin main")

	// The first file and a second one, written on the page.
	status, body, _ := w.do(w.writer, "POST", repo+"/edit", url.Values{"path": {"README.md"}, "message": {"begin AB#7"},
		"content": {"# Shop\r\n\r\n<script>alert(1)</script>\r\n\r\n**bold**\r\n"}})
	if status != 200 || !strings.Contains(body, `<a href="/tools/_workitems/edit/7">AB#7</a>`) {
		t.Fatalf("commit: %d\n%s", status, body)
	}
	status, body, _ = w.do(w.writer, "POST", repo+"/edit", url.Values{"path": {"src/main go.go"}, "content": {"package main\n\n// <hi>\nfunc main() {}\n"}})
	if status != 200 || !strings.Contains(body, "Update src/main go.go") {
		t.Fatalf("commit: %d\n%s", status, body)
	}
	head, err := w.repos.Resolve(context.Background(), w.id, "main")
	if err != nil {
		t.Fatal(err)
	}
	page := w.shows(repo, "README.md", `href="/tools/_git/My%20Shop?path=%2Fsrc"`, "<strong>bold</strong>", `<h1 id="md-shop">Shop</h1>`, w.url+repo)
	if strings.Contains(page, "alert(1)") {
		t.Error("a script of the README is on the page")
	}
	w.shows(repo+"?path=/src", "main go.go")
	w.shows(repo+"?path=%2Fsrc%2Fmain+go.go", `id="L3"`, `<span class="hk">package</span>`, "// &lt;hi&gt;")
	w.shows(repo+"?path=/src&version=GC"+string(head), "main go.go")
	w.shows(repo+"/commits", "begin AB#7", "Update src/main go.go")
	w.shows(repo+"/commits?path=/README.md", "begin AB#7")
	w.shows(repo+"/commit/"+string(head), "src/main go.go", "func main() {}", "+4", `class="added"`)
	w.shows(repo+"/branches", "main", head.Short())
	w.shows(repo + "/tags")

	_, body, res := w.do(w.reader, "GET", repo+"/raw?path=/README.md", nil)
	if ct := res.Header.Get("Content-Type"); body != "# Shop\n\n<script>alert(1)</script>\n\n**bold**\n" || ct != "text/plain; charset=utf-8" || !strings.Contains(res.Header.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("raw: %q as %s", body, ct)
	}
	for path, want := range map[string]int{
		repo + "?path=/nothing": 404, repo + "?version=GBnothing": 404, repo + "?version=main": 400, "/tools/_git/nothing": 404,
		repo + "/commit/" + strings.Repeat("1", 40): 404, repo + "/commit/xyz": 400, repo + "/edit?path=/README.md": 403,
	} {
		if status, _, _ := w.do(w.reader, "GET", path, nil); status != want {
			t.Errorf("GET %s: %d, want %d", path, status, want)
		}
	}
}

func TestEditingOnThePage(t *testing.T) {
	t.Parallel()
	w := newCodeWorld(t)
	const repo = "/tools/_git/My%20Shop"
	w.do(w.writer, "POST", repo+"/edit", url.Values{"path": {"a.txt"}, "content": {"\n  first\n"}})
	status, body, _ := w.do(w.writer, "GET", repo+"/edit?path=/a.txt", nil)
	// The parser drops the first line feed in a textarea (HTML standard, 13.2.6.4.7), so one more is there.
	if status != 200 || !strings.Contains(body, ">\n\n  first\n</textarea>") {
		t.Errorf("form: %d\n%s", status, body)
	}
	base, err := w.repos.Resolve(context.Background(), w.id, "main")
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{"path": {"/a.txt"}, "base": {string(base)}, "content": {"second\n"}}
	if status, body, _ := w.do(w.reader, "POST", repo+"/edit", form); status != 403 {
		t.Errorf("a reader's commit: %d\n%s", status, body)
	}
	if status, body, _ := w.do(w.writer, "POST", repo+"/edit", form); status != 200 {
		t.Errorf("commit: %d\n%s", status, body)
	}
	if status, _, _ := w.do(w.writer, "POST", repo+"/edit", form); status != 409 {
		t.Errorf("commit on what was before: %d, want 409", status)
	}
	if status, _, _ := w.do(w.writer, "POST", repo+"/edit", url.Values{"path": {"/.git/config"}, "content": {"x"}}); status != 400 {
		t.Errorf("a path below .git: %d, want 400", status)
	}
	if status, body, _ := w.do(w.writer, "POST", repo+"/edit", url.Values{"path": {"/a.txt"}, "do": {"delete"}}); status != 200 || !strings.Contains(body, "deleted") {
		t.Errorf("delete: %d\n%s", status, body)
	}
}

func TestPullRequestPages(t *testing.T) {
	t.Parallel()
	w := newCodeWorld(t)
	ctx := context.Background()
	for _, add := range []struct{ branch, path string }{{"main", "README.md"}, {"topic/hats", "hats.md"}} { // the first is the default branch
		_, err := w.repos.CommitFiles(ctx, repos.CommitRequest{Repository: w.id, Branch: add.branch, Changes: []repos.Change{{Path: add.path, Content: []byte("sell\n")}},
			Message: "add " + add.path, Author: repos.Signature{Name: "Ada", Email: "ada@example.org"}, Actor: slipway.System})
		if err != nil {
			t.Fatal(err)
		}
	}
	const repo = "/tools/_git/My%20Shop"
	w.shows(repo+"/pullrequests", "Nothing waits for a review")
	status, body, _ := w.do(w.writer, "GET", repo+"/branches", nil)
	if status != 200 || !strings.Contains(body, `href="`+repo+`/pullrequestcreate?sourceRef=topic%2Fhats"`) {
		t.Errorf("the branch offers no pull request: %d\n%s", status, body)
	}
	status, body, _ = w.do(w.writer, "GET", repo+"/pullrequestcreate?sourceRef=topic%2Fhats", nil)
	if status != 200 || !strings.Contains(body, `value="add hats.md"`) || !strings.Contains(body, "hats.md") {
		t.Errorf("the form does not show what it would bring: %d\n%s", status, body)
	}
	form := url.Values{"sourceRef": {"topic/hats"}, "targetRef": {"main"}, "title": {"Sell <hats>"}, "description": {"fixes AB#7\r\n\r\n<script>alert(1)</script>"}}
	if status, _, _ := w.do(w.reader, "POST", repo+"/pullrequestcreate", form); status != http.StatusForbidden {
		t.Errorf("a reader opens a pull request: %d", status)
	}
	status, body, _ = w.do(w.writer, "POST", repo+"/pullrequestcreate", form)
	if status != 200 || !strings.Contains(body, "Sell &lt;hats&gt;") || !strings.Contains(body, `<a href="/tools/_workitems/edit/7" rel="nofollow">AB#7</a>`) ||
		strings.Contains(body, "<script>alert") || !strings.Contains(body, "merges without conflicts") || !strings.Contains(body, `buildId=4`) {
		t.Errorf("the pull request's page: %d\n%s", status, body)
	}
	const pull = repo + "/pullrequest/1"
	w.shows(repo+"/pullrequests", `href="`+pull+`"`, "topic/hats")
	if body := w.shows(pull+"?_a=files", "hats.md", `class="added"`); strings.Contains(body, "can be covered") {
		t.Error("coverage is shown that no run has")
	}
	merge, err := w.repos.Resolve(ctx, w.id, "refs/pull/1/merge")
	if err != nil {
		t.Fatal(err)
	}
	w.runs = fakeRuns{commit: merge, covered: []coverage.Line{{Number: 1, Hits: 1, Branches: 2, Taken: 1}, {Number: 2}}}
	w.shows(pull+"?_a=files", `class="line partly" title="partly, 1 of 2 branches"`, "buildId=4", "100.0 % (1 of 1)")
	w.runs.commit = "1111111111111111111111111111111111111111" // a trial merge that is gone
	if body := w.shows(pull + "?_a=files"); strings.Contains(body, "can be covered") {
		t.Error("coverage of another file's lines is shown")
	}
	w.shows(pull+"?_a=commits", "add hats.md")
	if body := w.shows(pull); strings.Contains(body, `action="`+pull+`"`) {
		t.Error("a reader is offered what only contributors may do")
	}
	if status, _, _ := w.do(w.reader, "POST", pull, url.Values{"do": {"vote"}, "vote": {"10"}}); status != http.StatusForbidden {
		t.Errorf("a reader votes: %d", status)
	}
	do := func(want string, values url.Values) {
		t.Helper()
		status, body, _ := w.do(w.writer, "POST", pull, values)
		if status != 200 || !strings.Contains(body, want) {
			t.Errorf("%v: %d, want %q in\n%s", values, status, want, body)
		}
	}
	do("Why <strong>hats</strong>?", url.Values{"do": {"thread"}, "text": {"Why **hats**?\r\n<script>alert(2)</script>"}})
	do(`<strong>caps</strong>`, url.Values{"do": {"thread"}, "path": {"hats.md"}, "side": {"right"}, "line": {"1"}, "text": {"and **caps**"}})
	do("resolved", url.Values{"do": {"thread-status"}, "thread": {"2"}, "text": {"Later."}})
	if body := w.shows(pull+"?_a=files", "hats.md", "thread-2", "Later."); strings.Contains(body, "Why") {
		t.Error("a thread about the whole is shown below a line")
	}
	status, body, _ = w.do(w.writer, "GET", pull+"?_a=files&path=hats.md&side=right&line=1", nil)
	if status != 200 || !strings.Contains(body, `id="comment"`) || !strings.Contains(body, `#comment" data-ask title="Comment on this line; with Shift, on all from the line clicked before">1</a>`) {
		t.Errorf("no form for a comment on the line: %d\n%s", status, body)
	}
	do("deleted", url.Values{"do": {"delete-comment"}, "thread": {"1"}, "comment": {"1"}})
	do("waiting for the author", url.Values{"do": {"vote"}, "vote": {"-5"}})
	do("draft", url.Values{"do": {"draft"}})
	do("Complete", url.Values{"do": {"publish"}})
	do("abandoned", url.Values{"do": {"abandon"}})
	do("merges without conflicts", url.Values{"do": {"reactivate"}})
	do("Sell caps", url.Values{"do": {"edit"}, "title": {"Sell caps"}})
	p, err := w.repos.PullRequest(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	if status, body, _ := w.do(w.writer, "POST", pull, url.Values{"do": {"complete"}, "expect": {string(p.TargetCommit)}}); status != http.StatusConflict || !strings.Contains(body, "somebody pushed") {
		t.Errorf("completing what nobody looked at: %d\n%s", status, body)
	}
	do("squash: one commit", url.Values{"do": {"complete"}, "expect": {string(p.SourceCommit)}, "strategy": {"squash"}, "message": {"all hats\r\n\r\nand caps"}, "delete": {"on"}})
	w.shows(repo, "hats.md", "all hats")
	if status, _, _ := w.do(w.reader, "GET", repo+"/pullrequest/2", nil); status != http.StatusNotFound {
		t.Errorf("a pull request that is not there: %d", status)
	}
}
