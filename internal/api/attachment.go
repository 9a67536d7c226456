package api

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
)

func (b buildRoutes) addAttachmentRoutes() {
	b.project("GET", "/build/builds/{build}/attachments/{type}", identity.Read, b.attachments)
	b.project("GET", "/build/builds/{build}/{timeline}/{record}/attachments/{type}/{name}", identity.Read, b.attachment)
}

// Attachment is a file that a step attached to its run.
type Attachment struct {
	Name  string `json:"name"`
	Links struct {
		Self struct {
			Href string `json:"href"`
		} `json:"self"`
	} `json:"_links"`
}

// attachmentRecord is the timeline's record of the step that attached a file.
func attachmentRecord(a pipelines.Attachment) string {
	return recordID("job/%d/step/%d", a.Job, a.Step)
}

// attachments lists those of a type.
func (b buildRoutes) attachments(w http.ResponseWriter, r request) error {
	run, err := b.run(r)
	if err != nil {
		return err
	}
	all, err := b.pipelines.Attachments(r.Context(), run.ID)
	if err != nil {
		return err
	}
	var out []Attachment
	for _, a := range all {
		if !strings.EqualFold(a.Type, r.named("type")) {
			continue
		}
		one := Attachment{Name: a.Name}
		one.Links.Self.Href = fmt.Sprintf("%s/%s/_apis/build/builds/%d/%s/%s/attachments/%s/%s", b.url, url.PathEscape(r.project.Name), run.ID, recordID("run/%d", run.ID),
			attachmentRecord(a), url.PathEscape(a.Type), url.PathEscape(a.Name))
		out = append(out, one)
	}
	return list(w, out)
}

// attachment answers with the contents of one. Nothing in it is shown as a page of this server.
func (b buildRoutes) attachment(w http.ResponseWriter, r request) error {
	run, err := b.run(r)
	if err != nil {
		return err
	}
	all, err := b.pipelines.Attachments(r.Context(), run.ID)
	if err != nil {
		return err
	}
	for _, a := range all {
		if !strings.EqualFold(a.Type, r.named("type")) || a.Name != r.named("name") || attachmentRecord(a) != strings.ToLower(chi.URLParam(r.Request, "record")) {
			continue
		}
		_, content, err := b.pipelines.OpenAttachment(r.Context(), run.ID, a.ID)
		if err != nil {
			return err
		}
		defer content.Close()
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Disposition", "attachment; filename*=UTF-8''"+url.PathEscape(a.Name))
		w.Header().Set("Content-Length", strconv.FormatInt(a.Size, 10))
		_, _ = io.Copy(w, content)
		return nil
	}
	return slipway.NotFound("run %d has no attachment %q of type %q at that record", run.ID, r.named("name"), r.named("type"))
}
