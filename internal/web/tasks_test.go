package web_test

import (
	"archive/zip"
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
)

const windowsTask = `{"id": "7f1c1b4e-5a51-4d7b-9c52-0e7a7f6d2c11", "name": "Hello", "description": "Says <hello>.", "version": {"Major": 1, "Minor": 2, "Patch": 3},
	"execution": {"PowerShell3": {"target": "run.ps1"}}}`

func TestTaskPage(t *testing.T) {
	t.Parallel()
	p := openPages(t)
	root := p.administrator()
	p.get(p.browser, "/_tasks", http.StatusForbidden)
	p.lacks(p.get(p.browser, "/", http.StatusOK), "/_tasks")
	p.has(p.get(root, "/", http.StatusOK), "/_tasks")
	p.has(p.get(root, "/_tasks", http.StatusOK), "No task was uploaded yet", `type="file"`)

	upload := func(browser *http.Client, text string, want int) string {
		t.Helper()
		var form bytes.Buffer
		m := multipart.NewWriter(&form)
		file, err := m.CreateFormFile("file", "hello.zip")
		if err != nil {
			t.Fatal(err)
		}
		z := zip.NewWriter(file)
		w, err := z.Create("task.json")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		resp, err := browser.Post(p.url+"/_tasks", m.FormDataContentType(), &form)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != want {
			t.Fatalf("%s, want %d, %v\n%s", resp.Status, want, err, body)
		}
		return string(body)
	}
	upload(p.browser, windowsTask, http.StatusForbidden)
	p.has(upload(root, "{", http.StatusBadRequest), "task.json is not understood")
	p.has(upload(root, windowsTask, http.StatusOK), "Hello@1", "1.2.3", "Says &lt;hello&gt;.", "cannot run here", "PowerShell3")
	p.has(upload(root, strings.Replace(windowsTask, "Says", "Shouts", 1), http.StatusConflict), "has a version 1.2.3 already")
	p.has(p.post(root, "/_tasks?task=7f1c1b4e-5a51-4d7b-9c52-0e7a7f6d2c11&version=1.2.3", http.StatusOK), "No task was uploaded yet")
}
