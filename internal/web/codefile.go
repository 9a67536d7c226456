package web

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"slipway"
	"slipway/internal/blob"
	"slipway/internal/repos"
)

const (
	maxShown     = 1 << 20 // bytes of a file that is shown with its lines
	maxRendered  = 5 << 20 // of one that is shown as what it stands for: a notebook, a table
	maxRaw       = 64 << 20
	maxEdited    = 512 << 10
	longestShown = 20_000 // lines that are shown
)

type fileView struct {
	codeView
	Name       string
	Size       int64
	Object     string
	Executable bool
	Lines      []sourceLine // of the piece that is shown
	Pieces     linePieces
	Why        string          // it is not shown
	Rendered   templ.Component // what the file stands for: Markdown as a page, a picture; nil otherwise
	HasSource  bool            // it can be shown as text, too
	Plain      bool            // the text is asked for
	LinkTo     string          // of a symbolic link: what it names
	LinkURL    string          // empty when that is not in the repository
	Large      *lfsFile        // of Git LFS
	Blame      *blameView
	Encoding   string // of a text that is not in UTF-8
}

// lfsFile is what a pointer of Git LFS stands for.
type lfsFile struct {
	repos.LFSObject
	Missing bool
}

// sourceLine is one line of a file.
type sourceLine struct {
	Number int
	Text   templ.Component
	Chosen bool
}

// file is the page of a file.
func (p codePages) file(w http.ResponseWriter, r *http.Request, c codeView) error {
	f, err := p.repos.File(r.Context(), c.id, c.Commit, c.Path, maxRendered)
	if err != nil {
		return err
	}
	view, err := p.newFile(r, c, f)
	if err != nil {
		return err
	}
	switch {
	case f.Symlink:
		view.LinkTo = string(f.Content)
		view.LinkURL = view.linkURL(view.LinkTo)
	case view.Large != nil && view.Large.Missing:
		view.Why = "This is a pointer of Git LFS, and the large file that it names has not been pushed here: git lfs push --all origin."
	default:
		p.showFile(r, &view, f)
	}
	if !view.Plain && view.Rendered != nil {
		view.Lines = nil
	} else {
		view.Rendered = nil
	}
	view.choose(r)
	if view.Lines != nil && view.Pieces.alone(r) {
		return p.Fragment(w, r, sourceLines(view))
	}
	return p.Render(w, r, c.Titled(view.Name, "repos"), codeFilePage(view))
}

// newFile is what every page of a file knows.
func (p codePages) newFile(r *http.Request, c codeView, f repos.File) (fileView, error) {
	view := fileView{codeView: c, Name: path.Base(c.Path), Size: f.Size, Object: f.Object, Executable: f.Executable, Plain: r.FormValue("plain") != ""}
	if o, ok := repos.Pointer(f.Content); ok {
		view.Large = &lfsFile{LFSObject: o}
		_, err := p.repos.LFSObject(r.Context(), c.id, o.OID)
		if view.Large.Missing = slipway.CodeOf(err) == slipway.CodeNotFound; err != nil && !view.Large.Missing {
			return view, err
		}
	}
	return view, nil
}

// showFile decides how the content is shown.
func (p codePages) showFile(r *http.Request, view *fileView, f repos.File) {
	if view.Rendered = p.rendered(*view, f); view.Rendered != nil {
		view.HasSource = !f.Binary && f.Size <= maxShown && view.Large == nil
	}
	switch {
	case view.Rendered != nil && !view.HasSource:
		view.Plain = false
	case view.Large != nil:
		view.Why = "This is a large file that Git LFS keeps, of " + Bytes(view.Large.Size) + "."
	case f.TooLarge, f.Size > maxShown:
		view.Why = "This file is too large to be shown here: download it."
	case f.Binary:
		if text, encoding := decoded(f.Content); encoding != "" {
			view.Encoding, f.Content = encoding, []byte(text)
			view.addLines(r, p.colours.lines(f))
			return
		}
		view.Why = "This file is binary."
	default:
		view.addLines(r, p.colours.lines(f))
	}
}

func (v *fileView) addLines(r *http.Request, lines []templ.Component) {
	v.Pieces = v.cutPieces(r, "", len(lines))
	for n := v.Pieces.Shown.From; n > 0 && n <= v.Pieces.Shown.To; n++ {
		v.Lines = append(v.Lines, sourceLine{Number: n, Text: lines[n-1]})
	}
}

// choose marks the lines that the address names: ?line=10&lineEnd=12, as Azure Repos has it.
func (v *fileView) choose(r *http.Request) {
	from, _ := strconv.Atoi(r.FormValue("line"))
	to, _ := strconv.Atoi(r.FormValue("lineEnd"))
	if from <= 0 {
		return
	}
	for i := range v.Lines {
		n := v.Lines[i].Number
		v.Lines[i].Chosen = n == from || n > from && n <= to
	}
}

// linkURL is the page of what a symbolic link names.
func (v fileView) linkURL(target string) string {
	if strings.HasPrefix(target, "/") || len(target) > 1000 {
		return ""
	}
	at := path.Join(path.Dir("/"+v.Path), target)
	if strings.Count(target, "..") > strings.Count(v.Path, "/") { // it leads out of the repository
		return ""
	}
	return v.At("", strings.TrimPrefix(at, "/"))
}

// imageTypes are the pictures that browsers show, by the ends of their names.
var imageTypes = map[string]string{
	".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp", ".avif": "image/avif",
	".bmp": "image/bmp", ".ico": "image/x-icon", ".svg": "image/svg+xml",
}

// rawType is the type under which a file's bytes are given out. A browser must not run what somebody has pushed: nothing but pictures and PDF
// files has a type of its own, all else is plain text or a download.
func rawType(name string, binary bool) string {
	ext := strings.ToLower(path.Ext(name))
	switch {
	case imageTypes[ext] != "":
		return imageTypes[ext]
	case ext == ".pdf" && binary:
		return "application/pdf"
	case binary:
		return "application/octet-stream"
	}
	return "text/plain; charset=utf-8"
}

// raw gives the file's bytes; those of a large file when the file is a pointer of Git LFS.
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
	if o, ok := repos.Pointer(f.Content); ok && r.FormValue("pointer") == "" {
		large, err := p.repos.OpenLFSObject(r.Context(), c.id, o.OID)
		if err != nil {
			return err
		}
		return p.rawLarge(w, r, c, o, large)
	}
	rawHeaders(w, r, c, rawType(c.Path, f.Binary), `"`+f.Object+`"`)
	if r.Header.Get("If-None-Match") == `"`+f.Object+`"` {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(f.Content)))
	_, err = w.Write(f.Content)
	return err
}

// rawLarge gives a large file, a part of it when a part is asked for.
func (p codePages) rawLarge(w http.ResponseWriter, r *http.Request, c codeView, o repos.LFSObject, large blob.Object) error {
	defer large.Close()
	begin := make([]byte, 8000)
	n, err := io.ReadFull(large, begin)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	rawHeaders(w, r, c, rawType(c.Path, isBinary(begin[:n])), `"`+o.OID+`"`)
	http.ServeContent(w, r, "", time.Time{}, large)
	return nil
}

// rawHeaders keep the browser from running or framing anything; the viewer of PDF files alone is shown in the page of the file.
func rawHeaders(w http.ResponseWriter, r *http.Request, c codeView, contentType, tag string) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	disposition := ""
	if contentType == "application/octet-stream" || r.FormValue("download") != "" {
		disposition = "attachment"
	}
	if disposition != "" {
		h.Set("Content-Disposition", mime.FormatMediaType(disposition, map[string]string{"filename": path.Base(c.Path)}))
	}
	switch contentType {
	case "application/pdf":
		h.Set("Content-Security-Policy", "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'self'")
	case "image/svg+xml":
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox")
	default:
		h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	}
	h.Set("Cache-Control", "private, no-cache")
	h.Set("ETag", tag)
}

// isBinary is git's own rule: there is a NUL among the first bytes.
func isBinary(begin []byte) bool { return bytes.IndexByte(begin, 0) >= 0 }

// page is the page that shows the file: its lines, or who wrote them.
func (v fileView) page() string {
	if v.Blame != nil {
		return "blame"
	}
	return ""
}
