package web_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/blob"
	"slipway/internal/repos"
)

const shopPages = "/tools/_git/My%20Shop"

// put makes a commit on main of the files given as path, content, path, content ...
func (w *codeWorld) put(message string, files ...string) slipway.CommitID {
	w.t.Helper()
	var changes []repos.Change
	for i := 0; i < len(files); i += 2 {
		changes = append(changes, repos.Change{Path: files[i], Content: []byte(files[i+1])})
	}
	id, err := w.repos.CommitFiles(context.Background(), repos.CommitRequest{Repository: w.id, Branch: "main", Changes: changes, Message: message,
		Author: repos.Signature{Name: "Ada", Email: "ada@example.org"}, Actor: slipway.System})
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// lacks wants none of the texts in a page.
func (w *codeWorld) lacks(page string, texts ...string) {
	w.t.Helper()
	for _, text := range texts {
		if strings.Contains(page, text) {
			w.t.Errorf("the page has %q:\n%s", text, page)
		}
	}
}

func TestFolderPage(t *testing.T) {
	t.Parallel()
	w := newCodeWorld(t)
	w.put("begin", "docs/README.md", "# Docs\n\n[next](a%20b.md#part) ![hat](../hat.png) [up](/src/a.go) [here](#docs) [out](https://example.org/) <a href=\"javascript:alert(1)\">x</a>\n\n"+
		"- [x] done\n\n```go\nfunc x() {}\n```\n\n<p align=\"center\" onclick=\"alert(2)\"><img src=\"logo.svg\" onerror=\"alert(3)\"></p>\n", "src/a.go", "package a\n")
	w.put("change the source", "src/a.go", "package b\n", ".gitmodules", "[submodule \"m\"]\n\tpath = m\n\turl = ../other\n")
	w.shows(shopPages, "begin", "change the source", `href="`+shopPages+`/archive?format=zip"`)
	page := w.shows(shopPages+"?path=/docs", `href="`+shopPages+`?path=%2Fdocs%2Fa+b.md#md-part"`, `src="`+shopPages+`/raw?path=%2Fhat.png"`, `href="`+shopPages+`?path=%2Fsrc%2Fa.go"`,
		`href="#md-docs"`, `<h1 id="md-docs">`, `href="https://example.org/"`, `<span class="hk">func</span>`, `type="checkbox"`, `align="center"`, `src="`+shopPages+`/raw?path=%2Fdocs%2Flogo.svg"`, ">..</a>")
	w.lacks(page, "javascript:", "alert(2)", "alert(3)")
	if page := w.shows(shopPages + "/lastcommits?path=/src"); !strings.HasPrefix(page, "<tbody") || !strings.Contains(page, "change the source") {
		t.Errorf("the rows alone:\n%s", page)
	}
}

func TestFilePages(t *testing.T) {
	t.Parallel()
	w := newCodeWorld(t)
	objects, err := blob.OpenFiles(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w.repos.Objects = objects
	large := "\x00large bytes"
	sum := sha256.Sum256([]byte(large))
	oid := hex.EncodeToString(sum[:])
	pointer := func(oid string) string {
		return fmt.Sprintf("version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", oid, len(large))
	}
	if _, err := w.repos.PutLFSObject(context.Background(), slipway.System, w.id, oid, strings.NewReader(large)); err != nil {
		t.Fatal(err)
	}
	svg := `<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`
	head := w.put("begin", "a.go", "package a\n\nfunc b() {}\n", "x.svg", svg, "t.csv", "name,price\n\"a, b\",<1>\n", "n.ipynb", notebook, "large.psd", pointer(oid),
		"gone.psd", pointer(strings.Repeat("1", 64)), "evil.html", "<script>alert(1)</script>", "bin", "a\x00b", "doc.pdf", "%PDF-1.4\n\x00")

	w.shows(shopPages+"?path=/a.go&line=1&lineEnd=2", `<tr id="L2" class="chosen">`, `<tr id="L3" class="">`, "version=GC"+string(head), "3 lines")
	w.shows(shopPages+"?path=/t.csv", "<th>price</th>", "<td>a, b</td>", "<td>&lt;1&gt;</td>")
	w.lacks(w.shows(shopPages+"?path=/t.csv&plain=1", `id="L1"`), "<th>price</th>")
	page := w.shows(shopPages+"?path=/n.ipynb", "<h1", "Hats", `<span class="hk">def</span>`, "hello &lt;b&gt;", `src="data:image/png;base64,iVBORw0KGgo="`, "<td>1</td>", "ZeroDivisionError: division")
	w.lacks(page, "alert(", "\x1b[")
	w.shows(shopPages+"?path=/x.svg", `<img src="`+shopPages+`/raw?path=%2Fx.svg"`)
	w.shows(shopPages+"?path=/doc.pdf", `<iframe class="pdf" src="`+shopPages+`/raw?path=%2Fdoc.pdf"`)
	w.shows(shopPages+"?path=/large.psd", "Git LFS", "12 B")
	w.shows(shopPages+"?path=/gone.psd", "git lfs push")
	w.shows(shopPages+"?path=/bin", "binary")
	w.shows(shopPages+"/blame?path=/a.go", "begin", "Ada", `id="L3"`, `<span class="hk">func</span>`)

	for path, want := range map[string]struct{ contentType, policy, body string }{
		"/a.go":      {"text/plain; charset=utf-8", "default-src 'none'; sandbox", "package a\n\nfunc b() {}\n"},
		"/evil.html": {"text/plain; charset=utf-8", "default-src 'none'; sandbox", "<script>alert(1)</script>"},
		"/x.svg":     {"image/svg+xml", "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox", svg},
		"/bin":       {"application/octet-stream", "default-src 'none'; sandbox", "a\x00b"},
		"/large.psd": {"application/octet-stream", "default-src 'none'; sandbox", large},
	} {
		status, body, res := w.do(w.reader, "GET", shopPages+"/raw?path="+path, nil)
		if h := res.Header; status != 200 || body != want.body || h.Get("Content-Type") != want.contentType || h.Get("Content-Security-Policy") != want.policy || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("raw %s: %d %q %v", path, status, body, h)
		}
	}
	if _, _, res := w.do(w.reader, "GET", shopPages+"/raw?path=/a.go&download=1", nil); res.Header.Get("Content-Disposition") != "attachment; filename=a.go" {
		t.Errorf("download: %v", res.Header)
	}
	status, body, res := w.do(w.reader, "GET", shopPages+"/archive?format=zip", nil)
	z, err := zip.NewReader(strings.NewReader(body), int64(len(body)))
	if status != 200 || err != nil || len(z.File) < 9 || !strings.HasPrefix(z.File[0].Name, "My-Shop-main/") || res.Header.Get("Content-Type") != "application/zip" {
		t.Errorf("archive: %d, %v, %v", status, err, res.Header)
	}
	if status, _, _ := w.do(w.reader, "GET", shopPages+"/archive?format=rar", nil); status != http.StatusBadRequest {
		t.Errorf("an archive of another format: %d", status)
	}
}

// The form is that of nbformat 4 (nbformat.readthedocs.io).
const notebook = `{"nbformat": 4, "nbformat_minor": 5, "metadata": {"language_info": {"name": "python"}}, "cells": [
 {"cell_type": "markdown", "source": ["# Hats\n", "<script>alert(1)</script>"]},
 {"cell_type": "code", "execution_count": 3, "source": "def f(): pass", "outputs": [
  {"output_type": "stream", "name": "stdout", "text": ["\u001b[31mhello <b>\u001b[0m\n"]},
  {"output_type": "display_data", "data": {"image/png": "iVBORw0KGgo=\n", "text/plain": "<Figure>"}},
  {"output_type": "execute_result", "data": {"text/html": "<table onclick='alert(2)'><tr><td>1</td></tr></table><script>alert(3)</script>", "text/plain": "1"}},
  {"output_type": "execute_result", "data": {"application/javascript": "alert(4)"}},
  {"output_type": "error", "ename": "ZeroDivisionError", "evalue": "division", "traceback": []}]}]}`

func TestHistoryPages(t *testing.T) {
	t.Parallel()
	w := newCodeWorld(t)
	first := w.put("begin", "a.txt", "one\n")
	status, body, _ := w.do(w.writer, "POST", shopPages+"/rename?path=/a.txt", url.Values{"to": {"b.txt"}, "base": {string(first)}, "where": {"here"}})
	if status != 200 || !strings.Contains(body, "Rename a.txt to b.txt") || !strings.Contains(body, "was a.txt") {
		t.Fatalf("rename: %d\n%s", status, body)
	}
	w.shows(shopPages+"/commits?path=/b.txt", "begin", "renamed from a.txt", "?path=%2Fa.txt&amp;version=GC"+string(first))
	page := w.shows(shopPages+"/commits?text=RENAME+a", "Rename a.txt")
	w.lacks(page, ">begin<")
	w.lacks(w.shows(shopPages+"/commits?author=nobody", "No commit fits"), ">begin<")
	if status, _, _ := w.do(w.reader, "GET", shopPages+"/commits?since=yesterday", nil); status != http.StatusBadRequest {
		t.Errorf("a day that is none: %d", status)
	}
	w.shows(shopPages+"/branchCompare?baseVersion=GC"+string(first)+"&targetVersion=GBmain&wait=yes", "1 commit ahead", "0 commits behind", "was a.txt")
	w.shows(shopPages+"/branchCompare?baseVersion="+string(first[:8])+"&targetVersion=main&mode=direct&wait=yes", "1 commit ahead", "was a.txt")
	page = w.shows(shopPages+"/branchCompare?wait=yes&targetVersion=main&baseVersion="+string(first), first.Short()+"...main", `value="main"`, "branchCompare?baseVersion=main&amp;targetVersion="+string(first))
	w.lacks(page, "GBmain\"")
	w.shows(shopPages+"/branchCompare?wait=yes", "Nothing is changed here", "<title>main...main")
	if status, _, _ := w.do(w.reader, "GET", shopPages+"/branchCompare?baseVersion=nothing", nil); status != http.StatusNotFound {
		t.Errorf("compared with nothing: %d", status)
	}
}

func TestSearchPages(t *testing.T) {
	t.Parallel()
	w := newCodeWorld(t)
	head := w.put("sell hats", "src/hats.go", "package hats\n\n// <Hats>\n", "caps.md", "caps\n")
	w.shows(shopPages+"/search?text=hats", "2 lines in 1 file", "<mark>hats</mark>", "&lt;<mark>Hats</mark>&gt;", `version=GC`+string(head)+`#L1"`)
	w.shows(shopPages+"/search?text=hats&case=1&paths=*.md", "No file holds that")
	w.shows(shopPages+"/search?text=h.ts&regex=1", "<mark>hats</mark>")
	w.shows(shopPages+"/search?text=SELL&kind=commits", "sell hats")
	w.shows(shopPages+"/search?text=hago&kind=files", "<mark>", "src/")
	if status, body, _ := w.do(w.reader, "GET", shopPages+"/search?text=(&regex=1", nil); status != http.StatusBadRequest || !strings.Contains(body, "Unmatched") {
		t.Errorf("an expression that is none: %d\n%s", status, body)
	}
	w.shows(shopPages+"/find?q=caps", `href="`+shopPages+`?path=%2Fcaps.md"`)
	w.shows("/tools/_search?text=caps", "tools / My Shop", "<mark>caps</mark>")
	w.shows("/_search?text=caps", "tools / My Shop")
	// Whoever is in no project finds nothing.
	if status, body, _ := w.do(w.outsider, "GET", "/_search?text=caps", nil); status != 200 || strings.Contains(body, "My Shop") {
		t.Errorf("a stranger finds: %d\n%s", status, body)
	}
}

func TestRefPages(t *testing.T) {
	t.Parallel()
	w := newCodeWorld(t)
	head := w.put("begin", "a", "1")
	post := func(token, page string, want int, texts string, form url.Values) {
		t.Helper()
		status, body, _ := w.do(token, "POST", shopPages+"/"+page, form)
		if status != want || !strings.Contains(body, texts) {
			t.Errorf("%s %v: %d, want %d and %q\n%s", page, form, status, want, texts, body)
		}
	}
	post(w.reader, "branches", 403, "", url.Values{"do": {"create"}, "name": {"topic"}, "version": {"GBmain"}})
	post(w.writer, "branches", 200, "topic/hats", url.Values{"do": {"create"}, "name": {"topic/hats"}, "version": {"GBmain"}})
	post(w.writer, "branches", 409, "folder of the other", url.Values{"do": {"create"}, "name": {"topic"}, "version": {"GBmain"}})
	w.shows(shopPages+"/branches?counts=later", "topic/hats", ">0 | 0</a>", "begin")
	w.lacks(w.shows(shopPages+"/branches?filter=HATS", "topic/hats"), ">main</a>")
	post(w.writer, "branches", 403, "", url.Values{"do": {"default"}, "name": {"topic/hats"}})
	post(w.administrator, "branches", 200, "", url.Values{"do": {"default"}, "name": {"topic/hats"}})
	post(w.writer, "branches", 409, "default branch", url.Values{"do": {"delete"}, "name": {"topic/hats"}, "at": {string(head)}})
	post(w.writer, "branches", 409, "", url.Values{"do": {"delete"}, "name": {"main"}, "at": {strings.Repeat("1", 40)}})
	post(w.writer, "branches", 200, "Restore", url.Values{"do": {"delete"}, "name": {"main"}, "at": {string(head)}})
	post(w.writer, "branches", 200, ">main</a>", url.Values{"do": {"restore"}, "name": {"main"}})
	post(w.writer, "tags", 200, "The &lt;first&gt;.", url.Values{"do": {"create"}, "name": {"v1"}, "version": {"GBmain"}, "notes": {"The <first>."}})
	w.shows(shopPages+"?version=GTv1", "begin")
	w.shows(shopPages+"/tags", "archive?format=tar.gz&amp;version=GTv1")
	tags, err := w.repos.Tags(context.Background(), w.id)
	if err != nil || len(tags) != 1 {
		t.Fatalf("tags %+v, %v", tags, err)
	}
	post(w.writer, "tags", 200, "no tag", url.Values{"do": {"delete"}, "name": {"v1"}, "at": {tags[0].Target}})
}

func TestEditingMore(t *testing.T) {
	t.Parallel()
	w := newCodeWorld(t)
	first := w.put("begin", "a.txt", "one\n", "src/b.txt", "b\n")
	// Somebody else changes another file meanwhile: that is no hindrance.
	w.put("meanwhile", "other", "x")
	form := url.Values{"path": {"a.txt"}, "base": {string(first)}, "content": {"two\n"}, "where": {"here"}}
	if status, body, _ := w.do(w.writer, "POST", shopPages+"/edit", form); status != 200 || !strings.Contains(body, "Update a.txt") {
		t.Errorf("with another file changed meanwhile: %d\n%s", status, body)
	}
	form.Set("content", "three\n")
	status, body, _ := w.do(w.writer, "POST", shopPages+"/edit", form)
	if status != http.StatusConflict || !strings.Contains(body, "three\n</textarea>") || !strings.Contains(body, `value="new" checked`) {
		t.Errorf("with the file changed meanwhile: %d\n%s", status, body)
	}
	form.Set("where", "new")
	form.Set("branch", "ada/hats")
	if status, body, _ := w.do(w.writer, "POST", shopPages+"/edit", form); status != 200 || !strings.Contains(body, `action="`+shopPages+`/pullrequestcreate"`) {
		t.Errorf("on a new branch: %d\n%s", status, body)
	}
	if got, err := w.repos.ReadFile(context.Background(), w.id, w.head("ada/hats"), "a.txt", 100); err != nil || string(got) != "three\n" {
		t.Errorf("the branch has %q, %v", got, err)
	}
	if status, body, _ := w.do(w.writer, "POST", shopPages+"/edit", url.Values{"path": {"a.txt"}, "new": {"1"}, "content": {"x"}}); status != http.StatusConflict || !strings.Contains(body, "already") {
		t.Errorf("a new file over an old one: %d\n%s", status, body)
	}
	if status, body, _ := w.do(w.writer, "GET", shopPages+"/edit?path=/src&new=1", nil); status != 200 || !strings.Contains(body, `value="src/"`) {
		t.Errorf("the form of a new file: %d\n%s", status, body)
	}
	if status, body, _ := w.do(w.writer, "POST", shopPages+"/rename?path=/src", url.Values{"to": {"lib"}}); status != 200 || !strings.Contains(body, "lib/b.txt") {
		t.Errorf("rename of a folder: %d\n%s", status, body)
	}
	if status, body, _ := w.do(w.writer, "POST", shopPages+"/rename?path=/lib/b.txt", url.Values{"to": {"a.txt"}}); status != http.StatusConflict {
		t.Errorf("rename over a file: %d\n%s", status, body)
	}
	w.uploads(map[string]string{"new.bin": "\x00new", "a.txt": "four\n"})
	if got, err := w.repos.ReadFile(context.Background(), w.id, w.head("main"), "up/new.bin", 100); err != nil || string(got) != "\x00new" {
		t.Errorf("uploaded %q, %v", got, err)
	}
	// What no form can hold can still be deleted there, and is not emptied by mistake.
	if status, body, _ := w.do(w.writer, "GET", shopPages+"/edit?path=/up/new.bin", nil); status != 200 || !strings.Contains(body, "no text file") || strings.Contains(body, "<textarea") {
		t.Errorf("the form of a file that is no text: %d\n%s", status, body)
	}
	if status, _, _ := w.do(w.writer, "POST", shopPages+"/edit", url.Values{"path": {"up/new.bin"}}); status != http.StatusBadRequest {
		t.Errorf("a commit without content: %d", status)
	}
	if status, body, _ := w.do(w.writer, "POST", shopPages+"/edit", url.Values{"path": {"up/new.bin"}, "do": {"delete"}}); status != 200 || !strings.Contains(body, "Delete up/new.bin") {
		t.Errorf("delete: %d\n%s", status, body)
	}
}

func (w *codeWorld) head(branch string) slipway.CommitID {
	w.t.Helper()
	id, err := w.repos.Resolve(context.Background(), w.id, "refs/heads/"+branch)
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// uploads sends files to the folder up.
func (w *codeWorld) uploads(files map[string]string) {
	w.t.Helper()
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	for name, content := range files {
		part, err := m.CreateFormFile("files", name)
		if err == nil {
			_, err = part.Write([]byte(content))
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
	if err := m.Close(); err != nil {
		w.t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, w.url+shopPages+"/upload?path=/up", &body)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", m.FormDataContentType())
	req.SetBasicAuth("x", w.writer)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		w.t.Errorf("upload: %s", res.Status)
	}
}

// Every page of code takes names of 64 digits, whole and their beginnings.
func TestPagesOfSHA256(t *testing.T) {
	t.Parallel()
	w := newCodeWorldOf(t, repos.SHA256)
	w.shows(shopPages, "git init --object-format=sha256 -b main")
	first := w.put("sell hats", "src/hats.go", "package hats\n")
	second := w.put("sell caps", "caps.md", "# Caps\n")
	if len(first) != 64 {
		t.Fatalf("the commit is %s", first)
	}
	w.shows(shopPages, "caps.md", "sell caps")
	w.shows(shopPages+"/commit/"+string(second), string(second), "caps.md")
	w.shows(shopPages+"?path=/src/hats.go&version=GC"+string(first[:10]), `<span class="hk">package</span>`)
	w.shows(shopPages+"/blame?path=/src/hats.go", first.Short(), "sell hats", `<span class="hk">package</span>`)
	w.shows(shopPages+"/commits", "sell hats", "sell caps")
	w.shows(shopPages+"/branchCompare?baseVersion="+string(first)+"&targetVersion=main&wait=yes", "1 commit ahead", "Caps")
	w.shows(shopPages+"/search?text=hats", "<mark>hats</mark>", "version=GC"+string(second))
	status, _, _ := w.do(w.writer, "POST", shopPages+"/branches", url.Values{"do": {"create"}, "name": {"topic"}, "version": {"GC" + string(first)}})
	if status != 200 {
		t.Errorf("a branch: %d", status)
	}
	status, body, _ := w.do(w.writer, "POST", shopPages+"/rename?path=/caps.md", url.Values{"to": {"hats.md"}, "base": {string(second)}, "where": {"here"}})
	if status != 200 || !strings.Contains(body, "was caps.md") {
		t.Errorf("rename: %d\n%s", status, body)
	}
	if status, body, _ := w.do(w.administrator, "GET", shopPages+"/settings", nil); status != 200 || !strings.Contains(body, "SHA-256") {
		t.Errorf("the settings: %d\n%s", status, body)
	}
	status, body, _ = w.do(w.administrator, "POST", "/tools/_git", url.Values{"name": {"wide"}, "objectFormat": {"sha256"}})
	if r, err := w.repos.Find(t.Context(), w.project, "wide"); status != 200 || err != nil || r.ObjectFormat != repos.SHA256 {
		t.Errorf("a repository made on the page: %d, %+v, %v\n%s", status, r, err, body)
	}
}
