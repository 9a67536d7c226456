package web

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"slipway"
	"slipway/internal/pipelines/job"
)

func (p pipelinesPages) addAttachments(ctx context.Context, v View, view *runView, id slipway.RunID) error {
	all, err := p.pipelines.Attachments(ctx, id)
	if err != nil {
		return err
	}
	for _, a := range all {
		name := a.Name
		if a.Type != job.FileAttachment {
			name = a.Type + ": " + name
		}
		view.Attachments = append(view.Attachments, artifactFile{Path: name, Size: a.Size, URL: fmt.Sprintf("%s?buildId=%d&id=%d", v.URL("_build", "attachment"), id, a.ID)})
	}
	return nil
}

// attachment answers with a file that a step attached. Nothing in it is shown as a page of this server.
func (p pipelinesPages) attachment(w http.ResponseWriter, r *http.Request, v View) error {
	t, err := p.found(r, v)
	if err != nil {
		return err
	}
	id, err := strconv.ParseInt(r.URL.Query().Get("id"), 10, 64)
	if err != nil {
		return slipway.Invalid("%q is no attachment's number", r.URL.Query().Get("id"))
	}
	a, content, err := p.pipelines.OpenAttachment(r.Context(), t.Run.ID, id)
	if err != nil {
		return err
	}
	defer content.Close()
	sendAttachment(w, a.Name, a.Size, content)
	return nil
}

// sendAttachment answers with a file for the browser to keep.
func sendAttachment(w http.ResponseWriter, name string, size int64, content io.Reader) {
	w.Header().Set("Content-Type", "application/octet-stream")
	attach(w, name)
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	_, _ = io.Copy(w, content)
}
