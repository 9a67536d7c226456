package web_test

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"slipway"
)

// Texts that are not in UTF-8 are shown, those with the line ends of Windows keep them, and nothing that is no text is taken for one.
func TestTextsOfOtherKinds(t *testing.T) {
	t.Parallel()
	w := newCodeWorld(t)
	w.put("begin", "latin.txt", "Gr\xf6\xdfe \x80", "wide.txt", "\xff\xfeH\x00\xfc\x00t\x00e\x00\n\x00", "wide-be.txt", "\xfe\xff\x00H\x00\xfc", "noise.bin", "\x01\x02\xff\xfe\x81",
		"zero.bin", "a\x00b\xff", "crlf.txt", "one\r\ntwo\r\n", "big.bin", strings.Repeat("\x00\xff", 5<<20))
	for path, texts := range map[string][]string{
		"latin.txt":   {"Größe €", "Windows-1252"},
		"wide.txt":    {"Hüte", "UTF-16"},
		"wide-be.txt": {"Hü", "UTF-16"},
		"noise.bin":   {"This file is binary."},
		"zero.bin":    {"This file is binary."},
		"big.bin":     {"too large to be shown here"},
	} {
		w.shows(shopPages+"?path=/"+path, texts...)
	}
	if _, body, _ := w.do(w.writer, "GET", shopPages+"/edit?path=/latin.txt", nil); !strings.Contains(body, "no text file in UTF-8") || strings.Contains(body, "<textarea") {
		t.Error("a text that is not in UTF-8 can be edited, and would be spoilt")
	}
	form := url.Values{"path": {"crlf.txt"}, "content": {"one\r\n2\r\nthree\r\n"}, "where": {"here"}} // as browsers send every text
	if status, body, _ := w.do(w.writer, "POST", shopPages+"/edit", form); status != 200 {
		t.Fatalf("edit: %d\n%s", status, body)
	}
	if got, err := w.repos.ReadFile(context.Background(), w.id, w.head("main"), "crlf.txt", 100); err != nil || string(got) != "one\r\n2\r\nthree\r\n" {
		t.Errorf("the file has %q, %v", got, err)
	}
}

// Headings are linked to by the names that GitHub gives them, and a notebook's cell shows the pictures that it has with it.
func TestMarkdownOfFiles(t *testing.T) {
	t.Parallel()
	w := newCodeWorld(t)
	const picture = "iVBORw0KGgo="
	w.put("begin", "README.md", "# Größe & Übersicht\n\n## What's `new`?\n\n## What's `new`?\n\n[up](#größe--übersicht) ![x](attachment:y.png)\n\n日本\n--\n",
		"book.ipynb", `{"nbformat":4,"cells":[{"cell_type":"markdown","source":"![plot](attachment:a%20b.png) ![none](attachment:c.png)\n\n<img src=\"attachment:evil.svg\">","attachments":{"a b.png":{"image/png":"`+picture+`"},
			"evil.svg":{"text/html":"<script>"}}},
			{"cell_type":"code","source":"x","outputs":[{"output_type":"stream","name":"stderr","text":"careful"}`+strings.Repeat(`,{"output_type":"stream","name":"stdout","text":"o"}`, 100)+`]}]}`)
	w.shows(shopPages+"?path=/README.md", `id="md-größe--übersicht"`, `id="md-whats-new"`, `id="md-whats-new-1"`, `id="md-日本"`, `href="#md-gr%C3%B6%C3%9Fe--%C3%BCbersicht"`)
	body := w.shows(shopPages+"?path=/book.ipynb", `src="data:image/png;base64,`+picture+`"`, `output-error`, "careful", "There are more outputs")
	if strings.Contains(body, "attachment:") || strings.Contains(body, "<script>") && strings.Count(body, "<script>") > strings.Count(w.shows(shopPages), "<script>") {
		t.Error("an attachment that is not shown left something behind")
	}
}

// The target of a pull request is changed on its page, and branches are locked on theirs.
func TestTargetsAndLocksOnThePage(t *testing.T) {
	t.Parallel()
	w := newCodeWorld(t)
	first := w.put("begin", "a", "1\n")
	for _, branch := range []string{"topic", "release"} {
		if err := w.repos.CreateBranch(context.Background(), w.id, slipway.System, branch, first); err != nil {
			t.Fatal(err)
		}
	}
	form := url.Values{"path": {"b"}, "new": {"1"}, "version": {"GBtopic"}, "content": {"b"}, "where": {"here"}}
	if status, body, _ := w.do(w.writer, "POST", shopPages+"/edit", form); status != 200 {
		t.Fatalf("edit: %d\n%s", status, body)
	}
	if status, body, _ := w.do(w.writer, "POST", shopPages+"/pullrequestcreate", url.Values{"sourceRef": {"topic"}, "targetRef": {"main"}, "title": {"B"}}); status != 200 || !strings.Contains(body, "Change the target") {
		t.Fatalf("open: %d\n%s", status, body)
	}
	if status, body, _ := w.do(w.writer, "POST", shopPages+"/pullrequest/1", url.Values{"do": {"retarget"}, "target": {"release"}}); status != 200 || !strings.Contains(body, "into <code>release</code>") {
		t.Errorf("retarget: %d\n%s", status, body)
	}
	lock := func(token, do string) (int, string) {
		status, body, _ := w.do(token, "POST", shopPages+"/branches", url.Values{"do": {do}, "name": {"release"}})
		return status, body
	}
	if status, body := lock(w.administrator, "lock"); status != 200 || !strings.Contains(body, "locked by Cleo") {
		t.Errorf("lock: %d\n%s", status, body)
	}
	if _, body, _ := w.do(w.writer, "GET", shopPages+"/branches", nil); strings.Contains(body, "Unlock release") || !strings.Contains(body, "Lock main") {
		t.Error("who did not lock a branch is offered to unlock it")
	}
	if status, _ := lock(w.writer, "unlock"); status != 403 {
		t.Errorf("another's lock is opened: %d", status)
	}
	if status, body := lock(w.administrator, "unlock"); status != 200 || strings.Contains(body, "locked by") {
		t.Errorf("unlock: %d\n%s", status, body)
	}
}
