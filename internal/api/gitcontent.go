package api

import (
	"mime"
	"net/http"
	"path"
	"time"

	"slipway"
	"slipway/internal/repos"
)

func (g gitRoutes) sendFile(w http.ResponseWriter, r request, i itemRequest, f repos.File) error {
	if f.TooLarge {
		return slipway.Limit("%s has %d bytes: clone the repository to get it", i.path, f.Size)
	}
	if o, ok := repos.Pointer(f.Content); ok && truth(i.query, "resolveLfs") {
		large, err := g.repos.OpenLFSObject(r.Context(), i.repo.ID, o.OID)
		if err != nil {
			return err
		}
		defer large.Close()
		contentHeaders(w, r, i.format, path.Base(i.path))
		http.ServeContent(w, r.Request, "", time.Time{}, large)
		return nil
	}
	contentHeaders(w, r, i.format, path.Base(i.path))
	_, err := w.Write(f.Content)
	return err
}

// contentHeaders keep a browser from running what somebody has pushed.
func contentHeaders(w http.ResponseWriter, r request, format, name string) {
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	if format == "text" {
		h.Set("Content-Type", "text/plain; charset=utf-8")
	}
	disposition := "inline"
	if truth(r.URL.Query(), "download") {
		disposition = "attachment"
	}
	h.Set("Content-Disposition", mime.FormatMediaType(disposition, map[string]string{"filename": name}))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
}

// sendArchive gives a file or folder as a zip file.
func (g gitRoutes) sendArchive(w http.ResponseWriter, r request, i itemRequest) error {
	name := i.repo.Name
	if i.path != "" {
		name = path.Base(i.path)
	}
	begun := false
	err := g.repos.Archive(r.Context(), repos.ArchiveRequest{Repository: i.repo.ID, Commit: i.commit, Path: i.path, Format: "zip"}, w, func() {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
		zipHeaders(w, name)
		begun = true
	})
	if err != nil && begun {
		g.logger.Warn("an archive was not sent whole", "repository", i.repo.ID, "error", err)
		panic(http.ErrAbortHandler) // so that the client knows
	}
	return err
}

func zipHeaders(w http.ResponseWriter, name string) {
	w.Header().Set("Content-Type", "application/zip")
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name + ".zip"}))
}
