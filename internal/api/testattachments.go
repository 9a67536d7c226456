package api

import (
	"archive/zip"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/pipelines"
)

// TestAttachment is a file of a publication of test results, as `GET test/runs/{id}/attachments` shows it.
type TestAttachment struct {
	ID             int64     `json:"id"`
	FileName       string    `json:"fileName"`
	AttachmentType string    `json:"attachmentType"`
	Size           int64     `json:"size"` // in bytes
	CreatedDate    time.Time `json:"createdDate"`
	URL            string    `json:"url"`
}

// attachmentType is what Azure's agent says of a file by its name (GetAttachmentType in its TestRunPublisher.cs).
func attachmentType(name string) string {
	switch strings.ToLower(path.Ext(name)) {
	case ".coverage":
		return "codeCoverage"
	case ".trx":
		return "tmiTestRunSummary"
	}
	return "generalAttachment"
}

// testAttachments lists the files of a publication.
func (b buildRoutes) testAttachments(w http.ResponseWriter, r request) error {
	t, run, err := b.foundTestRun(r)
	if err != nil {
		return err
	}
	all, err := b.pipelines.TestAttachments(r.Context(), t.ID)
	if err != nil {
		return err
	}
	of := b.testRunOf(r.project, &t, &run)
	out := []TestAttachment{}
	for _, a := range all {
		out = append(out, TestAttachment{ID: a.ID, FileName: a.Name, AttachmentType: attachmentType(a.Name), Size: a.Size, CreatedDate: a.Created,
			URL: fmt.Sprintf("%s/Attachments/%d", of.URL, a.ID)})
	}
	return list(w, out)
}

// testAttachment answers with the contents of a file, in a zip file for those who accept that. Nothing in it is shown as a page of this server.
func (b buildRoutes) testAttachment(w http.ResponseWriter, r request) error {
	t, _, err := b.foundTestRun(r)
	if err != nil {
		return err
	}
	id, err := strconv.ParseInt(chi.URLParam(r.Request, "attachment"), 10, 64)
	if err != nil {
		return slipway.NotFound("test run %d has no attachment %q", t.ID, chi.URLParam(r.Request, "attachment"))
	}
	a, content, err := b.pipelines.OpenTestAttachment(r.Context(), t.ID, id)
	if err != nil {
		return err
	}
	defer content.Close()
	if strings.Contains(r.Header.Get("Accept"), "application/zip") {
		if err := zipped(w, a, content); err != nil {
			// The answer has begun: without its end, clients see that it is broken.
			httpx.LogError(b.logger, r.Request, err)
		}
		return nil
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", "attachment; filename*=UTF-8''"+url.PathEscape(a.Name))
	w.Header().Set("Content-Length", strconv.FormatInt(a.Size, 10))
	_, _ = io.Copy(w, content)
	return nil
}

func zipped(w http.ResponseWriter, a pipelines.TestAttachment, content io.Reader) error {
	w.Header().Set("Content-Type", "application/zip")
	w.Header().Set("Content-Disposition", "attachment; filename*=UTF-8''"+url.PathEscape(a.Name)+".zip")
	z := zip.NewWriter(w)
	file, err := z.CreateHeader(&zip.FileHeader{Name: a.Name, Method: zip.Deflate, Modified: a.Created})
	if err == nil {
		_, err = io.Copy(file, content)
	}
	if err == nil {
		err = z.Close()
	}
	return err
}
