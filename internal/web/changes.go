package web

import (
	"fmt"
	"hash/fnv"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"slipway/internal/repos"
)

// changesView is a difference in files, as the page of a pull request shows it.
type changesView struct {
	Files                []changedFile
	Additions, Deletions int
	Truncated            bool // there are more files
	RenamesLimited       bool // renamed files that were changed too are told as deleted and added
	Uncounted            bool // there are files whose changed lines were not counted
	Sides                bool // the two texts stand beside each other
	IgnoreSpace          bool
	Address              string     // of the page
	Query                url.Values // of the page: what is compared
	MayMark              bool       // the files can be marked as viewed
	Viewed               int        // how many are
	Coverage             string     // of the added lines, in words; empty when it is not known
	CoverageURL          string
}

// changedFile is a file of a difference.
type changedFile struct {
	ID, Path, Was, Status string
	Mode                  string // how its mode changed, in words; empty when it did not
	URL                   string // of the file as it is now; empty when it is gone
	Object                string // name of the content; empty when it is gone
	Additions, Deletions  int
	Uncounted             bool // how many lines were added and deleted is not known
	Binary                bool
	Before, After         string // addresses of pictures
	Rows                  []changeRow
	Why                   string // the lines are not shown, until they are asked for
	Later                 bool   // the lines come when the reader gets there
	Length                int    // about how many lines that are, for the room to keep for them
	added                 []int  // of a file without rows: the numbers of the lines that were added
	Context               int    // lines around changes, 0 for git's three
	Viewed, Changed       bool   // the reader has looked at it; it has changed since
	Asked                 bool   // its lines were asked for: it is open, viewed or not
	Notes                 lineNotes
	AskURL                string // of the form for a comment on the file
}

const (
	largeFile    = 600       // changed lines from which a file is shown when it is asked for
	firstLines   = 1000      // that a page brings at once; those of the other files come when the reader gets there
	moreContext  = 25        // lines around changes that one click adds
	wholeContext = 1_000_000 // lines: all
)

// With is the page's address, as seen from the page, with other values, given as name and value in turn; an empty one leaves it out.
func (v changesView) With(values ...string) string {
	q := url.Values{}
	for name, list := range v.Query {
		q[name] = list
	}
	for i := 0; i+1 < len(values); i += 2 {
		if q.Del(values[i]); values[i+1] != "" {
			q.Set(values[i], values[i+1])
		}
	}
	return "?" + q.Encode()
}

// LayoutURL switches between one text and two beside each other.
func (v changesView) LayoutURL() string {
	if v.Sides {
		return v.With("view", "inline")
	}
	return v.With("view", "side")
}

// SpaceURL switches whether changes of white space count.
func (v changesView) SpaceURL() string {
	if v.IgnoreSpace {
		return v.With("space", "show")
	}
	return v.With("space", "ignore")
}

// FileURL shows one file with more lines around its changes; with all of them when whole.
func (v changesView) FileURL(f changedFile, context int) string {
	return v.With("file", f.Path, "was", f.Was, "context", fmt.Sprint(context))
}

// MoreURL shows some more lines around the changes of a file.
func (v changesView) MoreURL(f changedFile) string { return v.FileURL(f, f.Context+moreContext) }

// WholeURL shows all lines of a file.
func (v changesView) WholeURL(f changedFile) string { return v.FileURL(f, wholeContext) }

// fileID is what a file's part of a page is called.
func fileID(path string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(path))
	return fmt.Sprintf("file-%x", h.Sum64())
}

// newChanges shows a difference. asked is the file that is shown however large it is; noted are the files whose lines are there at once, since something is
// written about them.
func newChanges(d repos.Diff, left, right codeView, view changesView, asked string, context int, noted map[string]bool) changesView {
	view.Truncated, view.RenamesLimited = d.Truncated, d.RenamesLimited
	first, lines := firstLines, 0
	if view.Address == "" {
		first = maxDiffLines // nobody can be asked for more
	}
	for _, f := range d.Files {
		file := newChange(f, left, right)
		view.Additions, view.Deletions, view.Uncounted = view.Additions+f.Additions, view.Deletions+f.Deletions, view.Uncounted || f.Uncounted
		for _, h := range f.Hunks {
			file.Length += len(h.Lines) + 1
		}
		most := first
		if noted[file.Path] || noted[file.Was] {
			most = maxDiffLines
		}
		switch {
		case f.Unread && asked == file.Path:
			file.Why = "Its difference is too large to be shown: look at it with git."
		case asked == file.Path:
			file.Context = context
			file.addRows(f, view.Sides)
		case f.Additions+f.Deletions > largeFile:
			file.Why = fmt.Sprintf("%d lines are changed.", f.Additions+f.Deletions)
		case f.Unread, lines+file.Length > most:
			file.later(f, view.Address != "")
		default:
			lines += file.Length
			file.addRows(f, view.Sides)
		}
		view.Files = append(view.Files, file)
	}
	return view
}

// newChange is a file without its lines.
func newChange(f repos.FileDiff, left, right codeView) changedFile {
	file := changedFile{ID: fileID(f.Path()), Path: f.Path(), Status: string(f.Status), Additions: f.Additions, Deletions: f.Deletions, Uncounted: f.Uncounted, Binary: f.Binary, Object: f.NewObject}
	if f.Status == repos.FileRenamed {
		file.Was = f.OldPath
	}
	if f.OldMode != f.NewMode && f.OldMode != "" && f.NewMode != "" {
		file.Mode = fmt.Sprintf("mode %s, was %s", f.NewMode, f.OldMode)
	}
	if f.NewPath != "" {
		file.URL = right.At("", f.NewPath)
	}
	if f.Binary && isPicture(f.Path()) {
		if f.OldPath != "" {
			file.Before = left.At("raw", f.OldPath)
		}
		if f.NewPath != "" {
			file.After = right.At("raw", f.NewPath)
		}
	}
	return file
}

// later leaves out the lines of a file that has any, until they are asked for.
func (f *changedFile) later(d repos.FileDiff, mayAsk bool) {
	if f.Later = mayAsk && !d.Binary && (d.Unread || len(d.Hunks) > 0); !f.Later {
		if d.Unread || len(d.Hunks) > 0 {
			f.Why = "The difference is too large to be shown as a whole."
		}
		return
	}
	f.Length = max(f.Length, f.Additions+f.Deletions)
	for _, h := range d.Hunks {
		for _, l := range h.Lines {
			if l.Op == '+' {
				f.added = append(f.added, l.New)
			}
		}
	}
}

func (f *changedFile) addRows(d repos.FileDiff, sides bool) {
	for i, h := range d.Hunks {
		if i == maxHunks {
			f.Why = "There are more changes than can be shown here: compare the file with git."
			break
		}
		head := fmt.Sprintf("@@ -%d,%d +%d,%d @@ %s", h.OldStart, h.OldLines, h.NewStart, h.NewLines, h.Section)
		f.Rows = append(f.Rows, hunkRows(h, head, sides)...)
	}
	f.cells(func(side repos.Side, c *changeCell) {
		c.ID = f.ID + "-" + map[repos.Side]string{repos.Left: "L", repos.Right: "R"}[side] + strconv.Itoa(c.Number)
	})
}

const maxHunks = 5000 // places of one file

// Whole says that all lines of the file are shown.
func (f changedFile) Whole() bool {
	return f.Binary || f.Context >= wholeContext || f.Status == string(repos.FileAdded) || f.Status == string(repos.FileDeleted) || len(f.Rows) == 0
}

// cells calls fn for each line of a file with its side.
func (f *changedFile) cells(fn func(side repos.Side, c *changeCell)) {
	for i := range f.Rows {
		if c := f.Rows[i].Left; c != nil {
			fn(repos.Left, c)
		}
		if c := f.Rows[i].Right; c != nil {
			fn(repos.Right, c)
		}
	}
}

// treeRow is a folder or a file in the list beside the files.
type treeRow struct {
	Folder string // empty for a file
	File   *changedFile
	Depth  int
	Notes  int // threads in the file
}

// Tree lists the files below their folders.
func (v changesView) Tree() []treeRow {
	files := make([]*changedFile, len(v.Files))
	for i := range v.Files {
		files[i] = &v.Files[i]
	}
	slices.SortStableFunc(files, func(a, b *changedFile) int { return strings.Compare(path.Dir(a.Path)+"/", path.Dir(b.Path)+"/") })
	var rows []treeRow
	folder := "."
	for _, f := range files {
		if dir := path.Dir(f.Path); dir != folder {
			folder = dir
			rows = append(rows, treeRow{Folder: dir})
		}
		row := treeRow{File: f, Notes: len(f.Notes.Threads)}
		if folder != "." {
			row.Depth = 1
		}
		f.cells(func(_ repos.Side, c *changeCell) { row.Notes += len(c.Notes.Threads) })
		rows = append(rows, row)
	}
	return rows
}

// Name is the file's, without its folder.
func (r treeRow) Name() string { return path.Base(r.File.Path) }

// isPicture says that browsers show the file as a picture.
func isPicture(name string) bool { return imageTypes[strings.ToLower(path.Ext(name))] != "" }
