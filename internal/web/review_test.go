package web_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/pipelines"
	"slipway/internal/repos"
)

// review is a repository whose pull request 1 brings topic to main.
type review struct {
	*codeWorld
	pull string
}

const shop = "/tools/_git/My%20Shop"

func newReview(t *testing.T, base, topic []repos.Change) review {
	t.Helper()
	w := review{newCodeWorld(t), shop + "/pullrequest/1"}
	w.commit("main", base...)
	w.branch("topic")
	w.commit("topic", topic...)
	if _, err := w.repos.CreatePullRequest(context.Background(), repos.NewPullRequest{Repository: w.id, Source: "topic", Title: "Topic", Actor: slipway.System}); err != nil {
		t.Fatal(err)
	}
	return w
}

func file(path, text string) repos.Change { return repos.Change{Path: path, Content: []byte(text)} }

func (w review) commit(branch string, changes ...repos.Change) slipway.CommitID {
	w.t.Helper()
	id, err := w.repos.CommitFiles(context.Background(), repos.CommitRequest{Repository: w.id, Branch: branch, Changes: changes, Message: "change " + changes[0].Path + " AB#3",
		Author: repos.Signature{Name: "Ben", Email: "ben@example.org"}, Actor: slipway.System})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.repos.FollowPush(context.Background(), slipway.System, repos.Pushed{Repository: w.id, Ref: "refs/heads/" + branch}); err != nil {
		w.t.Fatal(err)
	}
	return id
}

// branch makes a branch where main is.
func (w review) branch(name string) {
	w.t.Helper()
	bare, err := filepath.Glob(filepath.Join(w.folder, "*", "*.git"))
	if err != nil || len(bare) != 1 {
		w.t.Fatal(bare, err)
	}
	if out, err := exec.Command("git", "-C", bare[0], "update-ref", "refs/heads/"+name, "refs/heads/main").CombinedOutput(); err != nil {
		w.t.Fatalf("make branch: %v\n%s", err, out)
	}
	if _, err := w.repos.Announce(context.Background(), w.id, slipway.System, "refs/heads/"+name); err != nil {
		w.t.Fatal(err)
	}
}

// post sends the page's form as a contributor, and gives the page that follows.
func (w review) post(want int, values ...string) string {
	w.t.Helper()
	form := url.Values{}
	for i := 0; i < len(values); i += 2 {
		form.Add(values[i], values[i+1])
	}
	status, body, _ := w.do(w.writer, "POST", w.pull, form)
	if status != want {
		w.t.Errorf("%v: %d, want %d\n%s", values, status, want, body)
	}
	return body
}

// send sends a request as the contributor.
func (w review) send(req *http.Request) string {
	w.t.Helper()
	req.SetBasicAuth("x", w.writer)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		w.t.Errorf("GET %s: %s, %v\n%s", req.URL, res.Status, err, body)
	}
	return string(body)
}

// raw is the content of a file of a branch.
func (w review) raw(branch, path string) string {
	w.t.Helper()
	return w.page(shop + "/raw?path=" + path + "&version=GB" + branch)
}

// page is a page as the contributor sees it.
func (w review) page(path string) string {
	w.t.Helper()
	status, body, _ := w.do(w.writer, "GET", path, nil)
	if status != http.StatusOK {
		w.t.Errorf("GET %s: %d\n%s", path, status, body)
	}
	return body
}

// has wants all of these in a page.
func (w review) has(body string, texts ...string) {
	w.t.Helper()
	for _, text := range texts {
		if !strings.Contains(body, text) {
			w.t.Errorf("there is no %q in\n%s", text, body)
		}
	}
}

func TestFilesOfAPullRequest(t *testing.T) {
	t.Parallel()
	var long strings.Builder
	for i := range 60 {
		fmt.Fprintf(&long, "the line %d.\n", i+1)
	}
	w := newReview(t, []repos.Change{file("docs/text.md", long.String()), file("pic.png", "\x89PNG\x00old"), file("old.txt", "a\nb\nc\nd\n")},
		[]repos.Change{file("docs/text.md", strings.Replace(long.String(), "the line 30.\n", "the line <thirty>.\n", 1)), file("pic.png", "\x89PNG\x00new"),
			{Path: "old.txt", Delete: true}, file("new.txt", "a\nb\nc\nd\n"), file("large.txt", strings.Repeat("x\n", 700))})
	body := w.page(w.pull + "?_a=files")
	w.has(body, `the line <mark>&lt;thirty&gt;</mark>.`, `the line <mark>30</mark>.`, "was old.txt", "700 lines are changed.",
		`alt="before: pic.png"`, `alt="after: pic.png"`, `<li class="folder">docs</li>`, "Its lines are the same.", "the line 27.")
	if strings.Contains(body, "the line 20.") {
		t.Error("lines far from the change are shown")
	}
	// A browser asks for one file with more lines, and gets nothing but that.
	fragment := func(path string) string {
		req, err := http.NewRequest("GET", w.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("HX-Request", "true")
		return w.send(req)
	}
	part := fragment(w.pull + "?_a=files&file=docs%2Ftext.md&context=1000000")
	w.has(part, "the line 1.", "the line 60.", `<mark>30</mark>`)
	if strings.Contains(part, "<html") || strings.Contains(part, "pic.png") || strings.Contains(part, "more lines") {
		t.Errorf("the fragment is\n%s", part)
	}
	w.has(fragment(w.pull+"?_a=files&file=large.txt&context=3"), `<tr class="added">`)
	w.has(fragment(w.pull+"?_a=files&file=new.txt&was=old.txt"), "was old.txt")
	w.has(w.page(w.pull+"?_a=files&file=docs%2Ftext.md&context=28"), "the line 2.", "pic.png") // without JavaScript the whole page

	// Two texts beside each other, without white space; the choice is kept.
	req, err := http.NewRequest("GET", w.url+w.pull+"?_a=files&view=side&space=ignore", nil)
	if err != nil {
		t.Fatal(err)
	}
	body = w.send(req)
	w.has(body, `diff sides`, "Show white space", ">Inline")
	req, _ = http.NewRequest("GET", w.url+w.pull+"?_a=files", nil)
	req.AddCookie(&http.Cookie{Name: "slipway-diff", Value: "side-space"})
	w.has(w.send(req), `diff sides`, "Show white space")

	// What was looked at stays marked until it changes.
	object := regexp.MustCompile(`value="docs/text.md"/?>\s*<input type="hidden" name="object" value="([0-9a-f]+)"`).FindStringSubmatch(body)
	if object == nil {
		t.Fatal("no form marks the file as viewed")
	}
	w.has(w.post(200, "do", "viewed", "file", "docs/text.md", "object", object[1], "viewed", "yes"), "1 viewed", "✓ Viewed")
	if strings.Contains(w.shows(w.pull+"?_a=files"), "✓ Viewed") {
		t.Error("another reader's mark is shown")
	}
	w.commit("topic", file("docs/text.md", "short\n"))
	w.has(w.page(w.pull+"?_a=files"), "changed since you viewed it", "Since my last visit", `from=1`)
	w.runs.failed = []pipelines.TestName{{Suite: "shop", Name: "sells hats"}}
	w.has(w.page(w.pull+"?_a=files&from=1"), "All changes", "docs/text.md", "sells hats</a>", "shop</span>")
	for _, bad := range []string{"&from=7", "&from=2&to=1", "&from=2"} {
		if status, _, _ := w.do(w.writer, "GET", w.pull+"?_a=files"+bad, nil); status != 404 && status != 400 {
			t.Errorf("%s: %d", bad, status)
		}
	}
}

func TestReviewOnThePage(t *testing.T) {
	t.Parallel()
	w := newReview(t, []repos.Change{file("a.txt", "one\ntwo\nthree\n")}, []repos.Change{file("a.txt", "one\nzwei\nthree\nfour\n")})
	// Drafts are nobody else's; a comment on a line that is gone stands on the left.
	w.has(w.post(200, "do", "draft-thread", "path", "a.txt", "side", "left", "line", "2", "text", "why **gone**?"), "only you see this", "why <strong>gone</strong>?", "1 comment of yours")
	w.post(200, "do", "draft-thread", "path", "a.txt", "side", "right", "line", "2", "end", "3", "text", "so:\n```suggestion\n2\n3\n```")
	if strings.Contains(w.shows(w.pull+"?_a=files"), "why <strong>gone") {
		t.Error("a draft is shown to others")
	}
	w.has(w.post(200, "do", "review", "vote", "-5", "text", "Almost."), "waiting for the author", "Almost.", "a.txt:2-3")
	body := w.page(w.pull + "?_a=files")
	w.has(body, `id="thread-2"`, `id="thread-3"`, `value="3.1.0"`, `<tr class="removed"><td class="text"><span class="sign">-</span>zwei</td></tr>`,
		`<tr class="added"><td class="text"><span class="sign">+</span>2</td></tr>`)
	if strings.Contains(w.shows(w.pull+"?_a=files"), `value="3.1.0"`) {
		t.Error("a reader is offered to apply a suggestion")
	}
	w.has(w.post(200, "do", "like", "thread", "1", "comment", "1"), `aria-pressed="true" title="Ada"`)
	w.has(w.post(200, "do", "edit-comment", "thread", "1", "comment", "1", "text", "Nearly."), "Nearly.", "edited")
	w.post(400, "do", "apply", "suggestion", "x")
	w.post(200, "do", "apply", "suggestion", "3.1.0")
	w.shows(shop+"?path=/a.txt&version=GBtopic", ">four<")
	if got := w.raw("topic", "a.txt"); got != "one\n2\n3\nfour\n" {
		t.Errorf("after the suggestion the file is %q", got)
	}
	w.post(409, "do", "apply", "suggestion", "3.1.0") // its lines have changed
	w.has(w.page(w.pull), "the line has changed since", `<tr class="own"><td class="line">2</td><td class="text">zwei</td></tr>`)
	w.has(w.post(200, "do", "add-label", "label", "Later"), "Remove label Later")
	w.has(w.shows(shop+"/pullrequests?label=later"), ">Later<", "Pull requests 1")
	for query, want := range map[string]bool{"?_a=mine": false, "?_a=review": false, "?q=TOPIC": true, "?q=hats": false, "?target=main": true, "?target=dev": false, "?_a=all": true} {
		if got := strings.Contains(w.page(shop+"/pullrequests"+query), `href="`+w.pull+`"`); got != want {
			t.Errorf("%s lists it: %t", query, got)
		}
	}
	w.has(w.page(w.pull+"?_a=commits"), `href="/tools/_workitems/edit/3">AB#3</a>`)
}

func TestConflictsAndRevertsOnThePage(t *testing.T) {
	t.Parallel()
	w := newReview(t, []repos.Change{file("a.txt", "one\n"), file("b.txt", "one\n"), file(".azuredevops/pull_request_template.md", "- [ ] tested\n")},
		[]repos.Change{file("a.txt", "topic\n"), file("b.txt", "topic\n")})
	w.commit("main", file("a.txt", "main\n"), file("b.txt", "main\n"))
	body := w.page(w.pull + "?_a=conflicts")
	w.has(body, "&lt;&lt;&lt;&lt;&lt;&lt;&lt;", "both branches changed it", `name="choose:b.txt"`)
	field := func(name string) string {
		found := regexp.MustCompile(`name="` + name + `" value="([0-9a-f]+)"`).FindStringSubmatch(body)
		if found == nil {
			t.Fatalf("no field %s", name)
		}
		return found[1]
	}
	form := []string{"do", "resolve", "source", field("source"), "target", field("target"), "path", "a.txt", "choose:a.txt", "edit", "text:a.txt", "both\r\n", "path", "b.txt"}
	w.post(400, form...)
	w.has(w.post(200, append(form, "choose:b.txt", "target")...), "merges without conflicts")
	w.post(409, append(form, "choose:b.txt", "target")...)
	if a, b := w.raw("topic", "a.txt"), w.raw("topic", "b.txt"); a != "both\n" || b != "main\n" {
		t.Errorf("resolved to %q and %q", a, b)
	}
	p, err := w.repos.PullRequest(context.Background(), 1)
	if err != nil {
		t.Fatal(err)
	}
	w.has(w.post(200, "do", "complete", "expect", string(p.SourceCommit), "strategy", "squash", "delete", "on"), "Restore branch topic", "Cherry-pick", "pick?kind=revert&amp;pull=1")
	w.has(w.post(200, "do", "restore"), "completed")
	if got := w.raw("topic", "a.txt"); got != "both\n" {
		t.Errorf("the restored branch has %q", got)
	}
	w.has(w.page(shop+"/pick?kind=revert&pull=1"), "Revert: Topic", `value="revert-1"`)
	status, body, _ := w.do(w.writer, "POST", shop+"/pick", url.Values{"kind": {"revert"}, "pull": {"1"}, "onto": {"main"}, "branch": {"back"}})
	if status != 200 || !strings.Contains(body, "Revert &#34;Topic&#34;") || !strings.Contains(body, "merges without conflicts") {
		t.Errorf("revert: %d\n%s", status, body)
	}
	if got := w.raw("back", "a.txt"); got != "main\n" {
		t.Errorf("reverted to %q", got)
	}
	// What cannot be picked says which files conflict.
	commit := w.commit("topic", file("b.txt", "topic again\n"), file("a.txt", "again\n"))
	status, body, _ = w.do(w.writer, "POST", shop+"/pick", url.Values{"kind": {"cherryPick"}, "commit": {string(commit)}, "onto": {"back"}, "branch": {"picked"}})
	if status != 200 || !strings.Contains(body, "It did not work") || !strings.Contains(body, "<code>a.txt</code>") {
		t.Errorf("cherry-pick with conflicts: %d\n%s", status, body)
	}
	w.has(w.page(shop+"/commit/"+string(commit)), "pick?kind=revert&amp;commit="+string(commit))
	if status, _, _ := w.do(w.reader, "GET", shop+"/pick?kind=revert&pull=1", nil); status != http.StatusForbidden {
		t.Errorf("a reader reverts: %d", status)
	}
	w.has(w.page(shop+"/pullrequestcreate?sourceRef=topic"), "- [ ] tested")
}
