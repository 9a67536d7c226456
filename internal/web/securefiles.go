package web

import (
	"errors"
	"io"
	"net/http"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
)

func (p pipelinesPages) addSecureFilePages() {
	p.Project("GET", "/_library/files", identity.Read, p.secureFiles)
	p.Project("POST", "/_library/files", identity.Administer, p.changeSecureFiles)
}

type secureFilesView struct {
	Files     []pipelines.SecureFile
	URL       string
	MayChange bool
}

func (p pipelinesPages) secureFiles(w http.ResponseWriter, r *http.Request, v View) error {
	files, err := p.pipelines.SecureFiles(r.Context(), v.Project.ID)
	if err != nil {
		return err
	}
	view := secureFilesView{Files: files, URL: v.URL("_library", "files")}
	view.MayChange = p.identity.Authorize(r.Context(), v.Caller, identity.Administer, v.Project.ID) == nil
	return p.Render(w, r, v.Titled("Secure files", "pipelines"), secureFilesPage(view))
}

// changeSecureFiles uploads a file, or deletes one.
func (p pipelinesPages) changeSecureFiles(w http.ResponseWriter, r *http.Request, v View) error {
	r.Body = http.MaxBytesReader(w, r.Body, pipelines.MaxSecureFile+64<<10)
	if id := r.FormValue("delete"); id != "" {
		if err := p.pipelines.DeleteSecureFile(r.Context(), v.Project.ID, id, v.Caller.Actor); err != nil {
			return err
		}
		return p.Redirect(w, r, v.URL("_library", "files"))
	}
	file, header, err := r.FormFile("file")
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return slipway.Limit("a secure file has at most %d bytes", pipelines.MaxSecureFile)
		}
		return slipway.Invalid("choose a file").Because(err)
	}
	defer file.Close()
	content, err := io.ReadAll(file)
	if err != nil {
		return slipway.Invalid("the file did not arrive whole").Because(err)
	}
	name := r.FormValue("name")
	if name == "" {
		name = header.Filename
	}
	if _, err := p.pipelines.CreateSecureFile(r.Context(), v.Project.ID, name, content, v.Caller.Actor); err != nil {
		return err
	}
	return p.Redirect(w, r, v.URL("_library", "files"))
}
