package web

import (
	"net/http"
	"path"
	"strings"

	"github.com/a-h/templ"

	"slipway"
	"slipway/internal/repos"
)

const (
	maxShown  = 1 << 20 // bytes of a file that is shown with its lines
	maxRaw    = 64 << 20
	maxEdited = 512 << 10
)

type fileView struct {
	codeView
	Name     string
	Size     int64
	Lines    []templ.Component // nil when it is not shown
	Why      string            // it is not shown
	Rendered templ.Component   // of Markdown, nil otherwise
}

func (p codePages) file(w http.ResponseWriter, r *http.Request, c codeView) error {
	f, err := p.repos.File(r.Context(), c.id, c.Commit, c.Path, maxShown)
	if err != nil {
		return err
	}
	view := fileView{codeView: c, Name: path.Base(c.Path), Size: f.Size}
	switch {
	case f.TooLarge:
		view.Why = "This file is too large to be shown here."
	case f.Binary:
		view.Why = "This file is binary."
	case strings.EqualFold(path.Ext(c.Path), ".md") && r.URL.Query().Get("plain") == "":
		view.Rendered = p.markdown.render(string(f.Content))
	default:
		view.Lines = highlight(c.Path, string(f.Content))
	}
	return p.Render(w, r, c.Titled(view.Name, "repos"), codeFilePage(view))
}

// raw gives the file's bytes. The browser must not run or frame what somebody has pushed, so it is plain text or a
// download, whatever its name.
func (p codePages) raw(w http.ResponseWriter, r *http.Request, v View) error {
	c, err := p.open(r, v, "files")
	if err != nil {
		return err
	}
	f, err := p.repos.File(r.Context(), c.id, c.Commit, c.Path, maxRaw)
	if err != nil {
		return err
	}
	if f.TooLarge {
		return slipway.Limit("this file has %d bytes: clone the repository to get it", f.Size)
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	if f.Binary {
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Content-Disposition", "attachment")
	}
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Cache-Control", "private, no-cache")
	_, err = w.Write(f.Content)
	return err
}

type editView struct {
	codeView
	New     bool
	Content string
}

// MayBePipeline says that pipelines may read the file, so that the editor asks what becomes of them while somebody types.
func (v editView) MayBePipeline() bool {
	return v.New || strings.EqualFold(path.Ext(v.Path), ".yml") || strings.EqualFold(path.Ext(v.Path), ".yaml")
}

// edit is the form that changes a file, or makes one when no path is given.
func (p codePages) edit(w http.ResponseWriter, r *http.Request, v View) error {
	c, err := p.open(r, v, "files")
	if err != nil {
		return err
	}
	if c.Branch == "" {
		return slipway.Invalid("only a branch can be changed: choose one first")
	}
	view := editView{codeView: c, New: c.Path == "" || r.FormValue("new") != "" || c.Empty}
	if !view.New {
		f, err := p.repos.File(r.Context(), c.id, c.Commit, c.Path, maxEdited)
		if err != nil {
			return err
		}
		if f.Binary || f.TooLarge || f.Symlink {
			return slipway.Unsupported("%s is not a text file of at most %d bytes: change it with git", c.Path, maxEdited)
		}
		view.Content = string(f.Content)
	}
	return p.Render(w, r, v.Titled("Edit "+path.Base("/"+c.Path), "repos"), codeEditPage(view))
}

// save makes a commit of what the form holds. A branch that moved since the form was opened is a conflict.
func (p codePages) save(w http.ResponseWriter, r *http.Request, v View) error {
	r.Body = http.MaxBytesReader(w, r.Body, 4*maxEdited)
	c, err := p.open(r, v, "files")
	if err != nil {
		return err
	}
	if c.Branch == "" || c.Path == "" {
		return slipway.Invalid("say which file of which branch to change")
	}
	change := repos.Change{Path: c.Path, Content: []byte(strings.ReplaceAll(r.FormValue("content"), "\r\n", "\n"))}
	if r.FormValue("do") == "delete" {
		change = repos.Change{Path: c.Path, Delete: true}
	} else if old, err := p.oldFile(r, c); err != nil {
		return err
	} else if old != nil {
		change.Executable = old.Executable
	}
	author, err := p.author(r, v)
	if err != nil {
		return err
	}
	message := strings.TrimSpace(strings.ReplaceAll(r.FormValue("message"), "\r\n", "\n"))
	if message == "" {
		message = "Update " + c.Path
	}
	id, err := p.repos.CommitFiles(r.Context(), repos.CommitRequest{
		Repository: c.id, Branch: c.Branch, Expect: slipway.CommitID(r.FormValue("base")), Changes: []repos.Change{change},
		Message: message, Author: author, Actor: v.Caller.Actor,
	})
	if err != nil {
		return err
	}
	return p.Redirect(w, r, c.CommitURL(id))
}

// oldFile is the file as it is, nil when it is new.
func (p codePages) oldFile(r *http.Request, c codeView) (*repos.File, error) {
	if c.Empty {
		return nil, nil
	}
	f, err := p.repos.File(r.Context(), c.id, c.Commit, c.Path, maxEdited)
	if slipway.CodeOf(err) == slipway.CodeNotFound {
		return nil, nil
	}
	return &f, err
}

// author is the caller as git names people.
func (p codePages) author(r *http.Request, v View) (repos.Signature, error) {
	if err := userCaller(v); err != nil {
		return repos.Signature{}, err
	}
	u, err := p.identity.User(r.Context(), slipway.UserID(v.Caller.ID))
	if err != nil {
		return repos.Signature{}, err
	}
	return repos.Signature{Name: u.GitName(), Email: u.Email}, nil
}
