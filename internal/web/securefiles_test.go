package web

import (
	"bytes"
	"context"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestSecureFilePage(t *testing.T) {
	t.Parallel()
	s := newPipelineSite(t)
	s.push("steps:\n- bash: x\n")
	s.get("/_build", "/Shop/_library/files")
	s.get("/_library/files", "No secure file yet", `type="file"`)
	var form bytes.Buffer
	m := multipart.NewWriter(&form)
	file, err := m.CreateFormFile("file", "signing<1>.p12")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write([]byte("the key")); err != nil {
		t.Fatal(err)
	}
	if err := m.WriteField("name", "signing & more.p12"); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	resp, err := s.client.Post(s.server.URL+"/Shop/_library/files", m.FormDataContentType(), &form)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
	if body := s.get("/_library/files", "signing &amp; more.p12", "7 B", "ada"); strings.Contains(body, "the key") {
		t.Error("the content is in the page")
	}
	list, err := s.SecureFiles(context.Background(), project(s))
	if err != nil || len(list) != 1 {
		t.Fatalf("files %+v, %v", list, err)
	}
	s.post("/_library/files", url.Values{"delete": {list[0].ID}})
	s.get("/_library/files", "No secure file yet")
}
