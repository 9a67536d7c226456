package web

import (
	"cmp"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"unicode/utf8"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/repos"
)

const (
	maxUpload      = 32 << 20 // bytes of the files that one upload brings
	maxUploadFiles = 100
)

// saveForm is where a change goes and what is said of it.
type saveForm struct {
	Base      slipway.CommitID // of the branch when the form was opened
	Message   string
	Where     string // here: on the branch; new: on a branch of its own
	NewBranch string
}

type editView struct {
	codeView
	New     bool
	NewPath string // of a new file, as far as it is known
	Content string
	NoText  bool // the file is none that a form can hold, and can be deleted alone
	Save    saveForm
	Problem string // why the change was not saved; the form keeps what was written
}

// MayBePipeline says that pipelines may read the file, so that the editor asks what becomes of them while somebody types.
func (v editView) MayBePipeline() bool {
	return v.New || strings.EqualFold(path.Ext(v.Path), ".yml") || strings.EqualFold(path.Ext(v.Path), ".yaml")
}

// onBranch opens a page that changes a branch.
func (p codePages) onBranch(r *http.Request, v View) (codeView, error) {
	c, err := p.open(r, v, "files")
	if err == nil && c.Branch == "" {
		err = slipway.Invalid("only a branch can be changed: choose one first")
	}
	return c, err
}

// edit is the form that changes a file, or makes one: then the path is the folder for it.
func (p codePages) edit(w http.ResponseWriter, r *http.Request, v View) error {
	c, err := p.onBranch(r, v)
	if err != nil {
		return err
	}
	view := editView{codeView: c, New: c.Path == "" || r.FormValue("new") != "" || c.Empty}
	if view.Save, err = p.newSave(r, c); err != nil {
		return err
	}
	if view.New {
		view.NewPath = c.Path
		if c.Path != "" {
			view.NewPath += "/"
		}
	} else {
		f, err := p.repos.File(r.Context(), c.id, c.Commit, c.Path, maxEdited)
		if err != nil {
			return err
		}
		if view.NoText = f.Binary || f.TooLarge || f.Symlink || !utf8.Valid(f.Content); !view.NoText {
			view.Content = string(f.Content)
		}
	}
	return p.Render(w, r, v.Titled("Edit "+path.Base("/"+c.Path), "repos"), codeEditPage(view))
}

// newSave suggests where a change goes: a branch whose policies want a pull request is not changed itself.
func (p codePages) newSave(r *http.Request, c codeView) (saveForm, error) {
	f := saveForm{Base: c.Commit, Where: "here", NewBranch: strings.ToLower(strings.ReplaceAll(c.Caller.Name, " ", "-")) + "/" + strings.ReplaceAll(c.Branch, "/", "-") + "-patch"}
	protected, err := p.repos.Protected(r.Context(), c.id, c.Branch)
	if protected && !c.Empty {
		f.Where = "new"
	}
	return f, err
}

func readSave(r *http.Request, otherwise string) saveForm {
	f := saveForm{Base: slipway.CommitID(r.FormValue("base")), Where: r.FormValue("where"), NewBranch: strings.TrimSpace(r.FormValue("branch"))}
	f.Message = cmp.Or(strings.TrimSpace(strings.ReplaceAll(r.FormValue("message"), "\r\n", "\n")), otherwise)
	return f
}

// save makes a commit of what the editor holds.
func (p codePages) save(w http.ResponseWriter, r *http.Request, v View) error {
	r.Body = http.MaxBytesReader(w, r.Body, 4*maxEdited)
	c, err := p.onBranch(r, v)
	if err != nil {
		return err
	}
	if c.Path == "" {
		return slipway.Invalid("say which file of which branch to change")
	}
	isNew := r.FormValue("new") != ""
	if !r.Form.Has("content") && r.FormValue("do") != "delete" {
		return slipway.Invalid("say what is to be in %s", c.Path)
	}
	change := repos.Change{Path: c.Path, Content: []byte(strings.ReplaceAll(r.FormValue("content"), "\r\n", "\n"))}
	form := readSave(r, "Update "+c.Path)
	if isNew && form.Message == "Update "+c.Path {
		form.Message = "Add " + c.Path
	}
	if r.FormValue("do") == "delete" {
		change = repos.Change{Path: c.Path, Delete: true}
		if form.Message == "Update "+c.Path {
			form.Message = "Delete " + c.Path
		}
	} else if old, err := p.oldFile(r, c); err != nil {
		return err
	} else if old != nil {
		if isNew {
			err := slipway.Conflict("there is a file %s already: choose another name", c.Path)
			return p.again(w, r, c, form, err)
		}
		change.Executable, change.Content = old.Executable, repos.WithLineEndsOf(old.Content, change.Content)
	}
	err = p.commitForm(w, r, c, form, []repos.Change{change})
	if code := slipway.CodeOf(err); code == slipway.CodeConflict || code == slipway.CodeInvalid && r.FormValue("do") != "delete" {
		return p.again(w, r, c, form, err)
	}
	return err
}

// again shows the editor once more with what was written, and says why it was not saved.
func (p codePages) again(w http.ResponseWriter, r *http.Request, c codeView, form saveForm, why error) error {
	view := editView{codeView: c, New: r.FormValue("new") != "", NewPath: c.Path, Content: strings.ReplaceAll(r.FormValue("content"), "\r\n", "\n"),
		NoText: !r.Form.Has("content"), Save: form}
	view.Problem = httpx.Problem(r, why).Message + "."
	if view.Save.Base != c.Commit {
		view.Problem += " Your text is below: save it on a new branch, or open the file anew to see what changed."
		view.Save.Where = "new"
	}
	if view.Save.NewBranch == "" {
		suggested, err := p.newSave(r, c)
		if err != nil {
			return err
		}
		view.Save.NewBranch = suggested.NewBranch
	}
	status := http.StatusConflict
	if slipway.CodeOf(why) == slipway.CodeInvalid {
		status = http.StatusBadRequest
	}
	p.write(w, r, status, c.Titled("Edit "+path.Base("/"+c.Path), "repos"), codeEditPage(view))
	return nil
}

// commitForm commits changes on the branch of the page, or on a new one, from which the way leads to the form of a pull request. A branch that
// moved since the form was opened is no hindrance when it moved elsewhere than in the files that change.
func (p codePages) commitForm(w http.ResponseWriter, r *http.Request, c codeView, form saveForm, changes []repos.Change) error {
	author, err := p.author(r, c.View)
	if err != nil {
		return err
	}
	request := repos.CommitRequest{Repository: c.id, Branch: c.Branch, Changes: changes, Message: form.Message, Author: author, Actor: c.Caller.Actor}
	if form.Where == "new" {
		if request.Branch = form.NewBranch; request.Branch == "" {
			return slipway.Invalid("give the new branch a name")
		}
		request.Start = cmp.Or(form.Base, c.Commit)
	} else if !form.Base.IsZero() {
		if request.Expect, err = p.expected(r, c, form.Base, changes); err != nil {
			return err
		}
	}
	id, err := p.repos.CommitFiles(r.Context(), request)
	if err != nil {
		return err
	}
	if form.Where == "new" {
		return p.Redirect(w, r, c.newPullURL(request.Branch)+"&targetRef="+url.QueryEscape(c.Branch))
	}
	return p.Redirect(w, r, c.CommitURL(id))
}

// expected is the commit that a change builds upon: the newest one of the branch when the files that change are there as they were at base, else base,
// which makes the commit a conflict.
func (p codePages) expected(r *http.Request, c codeView, base slipway.CommitID, changes []repos.Change) (slipway.CommitID, error) {
	if base == c.Commit {
		return base, nil
	}
	changed, more, err := p.repos.ChangedPaths(r.Context(), c.id, base, c.Commit, 10_000)
	if err != nil {
		return "", err
	}
	if more {
		return base, nil
	}
	for _, path := range changed {
		for _, change := range changes {
			if path == change.Path || path == change.From || strings.HasPrefix(path, change.Path+"/") {
				return base, nil
			}
		}
	}
	return c.Commit, nil
}

type uploadView struct {
	codeView
	Save saveForm
}

func (p codePages) uploadForm(w http.ResponseWriter, r *http.Request, v View) error {
	c, err := p.onBranch(r, v)
	if err != nil {
		return err
	}
	save, err := p.newSave(r, c)
	if err != nil {
		return err
	}
	return p.Render(w, r, v.Titled("Upload files", "repos"), codeUploadPage(uploadView{c, save}))
}

// upload commits files to a folder.
func (p codePages) upload(w http.ResponseWriter, r *http.Request, v View) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxUpload+1<<20)
	if err := r.ParseMultipartForm(8 << 20); err != nil {
		return slipway.Limit("the files have more than %d bytes in all, or did not arrive whole", maxUpload).Because(err)
	}
	defer func() { _ = r.MultipartForm.RemoveAll() }()
	c, err := p.onBranch(r, v)
	if err != nil {
		return err
	}
	files := r.MultipartForm.File["files"]
	if len(files) == 0 || len(files) > maxUploadFiles {
		return slipway.Invalid("choose 1 to %d files", maxUploadFiles)
	}
	var changes []repos.Change
	for _, f := range files {
		opened, err := f.Open()
		if err != nil {
			return err
		}
		content, err := io.ReadAll(opened)
		_ = opened.Close() // it was only read
		if err != nil {
			return err
		}
		changes = append(changes, repos.Change{Path: path.Join(c.Path, path.Base(f.Filename)), Content: content})
	}
	message := "Upload " + changes[0].Path
	if len(changes) > 1 {
		message = "Upload " + plural(len(changes), "file")
	}
	return p.commitForm(w, r, c, readSave(r, message), changes)
}

type renameView struct {
	codeView
	Save saveForm
}

func (p codePages) renameForm(w http.ResponseWriter, r *http.Request, v View) error {
	c, err := p.onBranch(r, v)
	if err != nil {
		return err
	}
	if c.Path == "" {
		return slipway.Invalid("choose a file or a folder to rename")
	}
	save, err := p.newSave(r, c)
	if err != nil {
		return err
	}
	return p.Render(w, r, v.Titled("Rename "+path.Base(c.Path), "repos"), codeRenamePage(renameView{c, save}))
}

// rename moves a file, or a folder with all that is in it.
func (p codePages) rename(w http.ResponseWriter, r *http.Request, v View) error {
	c, err := p.onBranch(r, v)
	if err != nil {
		return err
	}
	to := strings.Trim(strings.TrimSpace(r.FormValue("to")), "/")
	if c.Path == "" || to == "" || to == c.Path {
		return slipway.Invalid("say what to rename, and its new path")
	}
	if old, err := p.oldFile(r, codeView{id: c.id, Commit: c.Commit, Path: to}); err != nil && slipway.CodeOf(err) != slipway.CodeInvalid || old != nil {
		if err != nil {
			return err
		}
		return slipway.Conflict("there is a file %s already: choose another name", to)
	}
	changes := []repos.Change{{Path: c.Path, Delete: true}, {Path: to, From: c.Path}}
	return p.commitForm(w, r, c, readSave(r, "Rename "+c.Path+" to "+to), changes)
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
