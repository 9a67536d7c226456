package web_test

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"slipway/internal/pipelines/coverage"
	"slipway/internal/repos"
)

// fetch is the part of a page that htmx asks for.
func (w review) fetch(path string) string {
	w.t.Helper()
	req, err := http.NewRequest(http.MethodGet, w.url+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("HX-Request", "true")
	return w.send(req)
}

// lacks wants none of these in a page.
func (w review) lacks(body string, texts ...string) {
	w.t.Helper()
	for _, text := range texts {
		if strings.Contains(body, text) {
			w.t.Errorf("there is a %q in\n%s", text, body)
		}
	}
}

// TestLinesOfManyFilesComeLater has a pull request of 30 files with 40 lines each, and a last one that its latest run has covered.
func TestLinesOfManyFilesComeLater(t *testing.T) {
	t.Parallel()
	var changes []repos.Change
	for i := range 30 {
		changes = append(changes, file(fmt.Sprintf("a/%02d.txt", i), strings.Repeat(fmt.Sprintf("a line of %d\n", i), 40)))
	}
	changes = append(changes, file("hats.md", "one\ntwo\n"))
	w := newReview(t, []repos.Change{file("x.txt", "x\n")}, changes)
	p, err := w.repos.PullRequest(context.Background(), 1)
	if err != nil {
		t.Fatal(err)
	}
	w.runs = fakeRuns{commit: p.MergeCommit, covered: []coverage.Line{{Number: 1, Hits: 1}, {Number: 2}}}
	files := w.pull + "?_a=files"
	body := w.page(files)
	w.has(body, "31 files changed", "+1202", "50.0 % (1 of 2)", "a line of 0<", "Show its lines")
	w.lacks(body, "a line of 29<", ">two<")
	if got := strings.Count(body, "<li data-path="); got != 31 {
		t.Errorf("%d files are listed", got)
	}
	address := regexp.MustCompile(`hx-get="([^"]*29\.txt[^"]*)" hx-trigger="intersect once" hx-target="#(file-[0-9a-f]+)"`).FindStringSubmatch(body)
	if address == nil {
		t.Fatal("the lines of the last file cannot be asked for")
	}
	link, id := w.pull+strings.ReplaceAll(address[1], "&amp;", "&"), address[2]
	w.has(body, `href="`+address[1]+"#"+id+`"`)
	part := w.fetch(link)
	w.has(part, `id="`+id+`"`, "a line of 29<", `id="`+id+`-R40"`)
	w.lacks(part, "<html", "a line of 28<", "Show its lines")
	w.has(w.page(link), "a line of 29<", "31 files changed", "Show its lines") // without JavaScript the whole page
	w.has(w.fetch(files+"&file=hats.md&context=3"), `class="line covered"`)

	// What is written about lines stands where they are, and the form for more too.
	w.lacks(w.page(files+"&path=a%2F28.txt&side=right&line=40"), "a line of 29<")
	w.has(w.page(files+"&path=a%2F28.txt&side=right&line=40"), "a line of 28<", `id="comment"`)
	w.post(200, "do", "thread", "path", "a/29.txt", "side", "right", "line", "40", "text", "why?")
	w.has(w.page(files), "a line of 29<", `id="thread-1"`)

	// Marked as viewed it stays folded, and its lines can be had.
	object := regexp.MustCompile(`value="a/27.txt"/?>\s*<input type="hidden" name="object" value="([0-9a-f]+)"`).FindStringSubmatch(body)
	if object == nil {
		t.Fatal("no form marks the file as viewed")
	}
	w.has(w.post(200, "do", "viewed", "file", "a/27.txt", "object", object[1], "viewed", "yes"), "1 viewed", `<details><summary class="filehead"><span class="filename">a/27.txt`)

	// A commit and a comparison have them alike.
	for _, page := range []string{shop + "/commit/" + string(p.SourceCommit), shop + "/branchCompare?baseVersion=main&targetVersion=topic&wait=yes"} {
		body := w.page(page)
		w.has(body, "31 files changed", "Show its lines")
		w.lacks(body, "a line of 29<")
		address := regexp.MustCompile(`hx-get="([^"]*29\.txt[^"]*)" hx-trigger="intersect once"`).FindStringSubmatch(body)
		if address == nil {
			t.Fatalf("%s: the lines of the last file cannot be asked for", page)
		}
		path, _, _ := strings.Cut(page, "?")
		w.has(w.fetch(path+strings.ReplaceAll(address[1], "&amp;", "&")), "a line of 29<")
	}
}

// TestDifferenceBeyondItsLimit has more text than is read at once: what is left out is counted and comes when it is asked for.
func TestDifferenceBeyondItsLimit(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 64<<10)
	w := newReview(t, []repos.Change{file("x.txt", "x\n"), file("z/space.txt", "a\n")}, []repos.Change{file("a.txt", strings.Repeat(long+"\n", 70)),
		file("y.bin", "a\x00b"), file("y.txt", "one\ntwo\n"), file("z/space.txt", "a \n")})
	body := w.page(w.pull + "?_a=files")
	w.has(body, "4 files changed", `<span class="plus">+73</span>`, "A binary file.")
	w.lacks(body, ">two<")
	w.has(w.fetch(w.pull+"?_a=files&file=y.txt&context=3"), "two")
	if body := w.page(w.pull + "?_a=files&space=ignore"); strings.Contains(body, "z/space.txt") {
		t.Error("a change of white space alone is shown")
	}
}
