package web

import (
	"net/http"
	"strconv"

	"github.com/a-h/templ"
	lru "github.com/hashicorp/golang-lru/v2"

	"slipway/internal/repos"
)

const (
	// pieceLines are the lines of a file that a page brings at once; the others come when the reader gets there.
	pieceLines = 1000
	// colouredFiles are the files of more than one piece whose colours are remembered.
	colouredFiles = 32
)

// linePiece is a part of a file's lines.
type linePiece struct {
	From, To int    // numbers of its first and last line
	URL      string // of the page that begins with it
}

// linePieces are the parts of a file: the one that is shown, and those before and after it.
type linePieces struct {
	Shown         linePiece
	Before, After []linePiece
	Total         int  // lines of the file
	Cut           bool // there are more lines than are shown
}

// Length is how many lines the piece has.
func (p linePiece) Length() int { return p.To - p.From + 1 }

// Label names the lines.
func (p linePiece) Label() string {
	if p.From == p.To {
		return "Line " + strconv.Itoa(p.From)
	}
	return "Lines " + strconv.Itoa(p.From) + " to " + strconv.Itoa(p.To)
}

// cutPieces parts the lines of a file. The one shown is that with the line that the address names: lines=1001, or line=1010 as Azure Repos has it.
func (c codeView) cutPieces(r *http.Request, page string, total int) linePieces {
	p := linePieces{Total: total, Cut: total > longestShown}
	at, _ := strconv.Atoi(r.FormValue("lines"))
	if at <= 0 {
		at, _ = strconv.Atoi(r.FormValue("line"))
	}
	most := min(total, longestShown)
	at = min(max(at, 1), max(most, 1))
	for from := 1; from <= most; from += pieceLines {
		more := []string{"lines", strconv.Itoa(from)}
		if r.FormValue("plain") != "" {
			more = append(more, "plain", "1")
		}
		piece := linePiece{From: from, To: min(from+pieceLines-1, most), URL: c.With(page, c.Path, more...)}
		switch {
		case piece.To < at:
			p.Before = append(p.Before, piece)
		case piece.From > at:
			p.After = append(p.After, piece)
		default:
			p.Shown = piece
		}
	}
	return p
}

// alone says that a page asks for the lines of one piece, to put them into their place.
func (p linePieces) alone(r *http.Request) bool {
	return r.Header.Get("HX-Request") != "" && r.FormValue("lines") != ""
}

// colours remember the coloured lines of files that are shown in pieces.
type colours struct {
	files *lru.Cache[[2]string, []templ.Component]
}

func newColours() colours {
	files, err := lru.New[[2]string, []templ.Component](colouredFiles)
	if err != nil { // only for a size below one
		panic(err)
	}
	return colours{files}
}

// lines are the coloured lines of a file.
func (c colours) lines(f repos.File) []templ.Component {
	key := [2]string{f.Object, f.Path}
	if lines, ok := c.files.Get(key); ok {
		return lines
	}
	lines := highlight(f.Path, string(f.Content))
	if len(lines) > pieceLines {
		c.files.Add(key, lines)
	}
	return lines
}
