package web

import (
	"mime"
	"net/http"
	"path"
	"strings"
	"time"

	"slipway/internal/repos"
)

var archiveTypes = map[string]string{"zip": "application/zip", "tar": "application/x-tar", "tar.gz": "application/gzip"}

// archive gives the files of a version in one file, as git makes it.
func (p codePages) archive(w http.ResponseWriter, r *http.Request, v View) error {
	c, err := p.open(r, v, "files")
	if err != nil {
		return err
	}
	format := r.FormValue("format")
	name := strings.ReplaceAll(c.Repo, " ", "-") + "-" + strings.NewReplacer("/", "-", " ", "-").Replace(c.Shown)
	if c.Path != "" {
		name += "-" + strings.ReplaceAll(path.Base(c.Path), " ", "-")
	}
	begun := false
	err = p.repos.Archive(r.Context(), repos.ArchiveRequest{Repository: c.id, Commit: c.Commit, Path: c.Path, Format: format, Prefix: name}, w, func() {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
		w.Header().Set("Content-Type", archiveTypes[format])
		w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name + "." + format}))
		begun = true
	})
	if err != nil && begun {
		p.logger.Warn("an archive was not sent whole", "repository", c.id, "error", err)
		panic(http.ErrAbortHandler) // so that the browser knows
	}
	return err
}
