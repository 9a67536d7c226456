package web

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/a-h/templ"

	"slipway/internal/repos"
)

const (
	maxTableRows    = 1000
	maxTableColumns = 100
)

// rendered is what a file stands for, nil for one that is shown as text.
func (p codePages) rendered(view fileView, f repos.File) templ.Component {
	ext := strings.ToLower(path.Ext(f.Path))
	url := view.At("raw", view.Path)
	switch {
	case imageTypes[ext] != "" && (view.Large != nil || f.Size <= maxRaw):
		return codeImage(url, view.Name)
	case ext == ".pdf" && (view.Large != nil || f.Binary || f.TooLarge):
		return codePDF(url, view.Name)
	case view.Large != nil || f.TooLarge || f.Binary:
		return nil
	case isMarkdown(f.Path) && f.Size <= maxShown:
		return p.markdown.renderAt(view.codeView, f.Path, string(f.Content))
	case ext == ".ipynb":
		return p.notebook(view.codeView, f)
	case ext == ".csv":
		return table(string(f.Content), ',')
	case ext == ".tsv":
		return table(string(f.Content), '\t')
	}
	return nil
}

// tableView is a file of comma-separated values.
type tableView struct {
	Head []string
	Rows [][]string
	More bool
}

// table reads comma-separated values as RFC 4180 has them; nil when the text is something else.
func table(text string, comma rune) templ.Component {
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "\uFEFF")))
	r.Comma, r.FieldsPerRecord, r.LazyQuotes = comma, -1, true
	var view tableView
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil
		}
		row = row[:min(len(row), maxTableColumns)]
		switch {
		case view.Head == nil:
			view.Head = row
		case len(view.Rows) == maxTableRows:
			view.More = true
			return codeTable(view)
		default:
			view.Rows = append(view.Rows, row)
		}
	}
	if len(view.Head) < 2 && len(view.Rows) == 0 {
		return nil
	}
	return codeTable(view)
}

// plainText shows a text as it is.
func plainText(text string) templ.Component {
	return templ.Raw("<pre>" + templ.EscapeString(strings.ToValidUTF8(text, "\uFFFD")) + "</pre>")
}

// fileFacts are the small words beside a file's name.
func (v fileView) fileFacts() string {
	var facts []string
	if v.Lines != nil || v.Blame != nil {
		facts = append(facts, plural(v.Pieces.Total, "line"))
	}
	facts = append(facts, Bytes(v.Size))
	if v.Encoding != "" {
		facts = append(facts, v.Encoding)
	}
	if v.Executable {
		facts = append(facts, "executable")
	}
	if v.Large != nil {
		facts = append(facts, fmt.Sprintf("Git LFS, %s", Bytes(v.Large.Size)))
	}
	return strings.Join(facts, ", ")
}

// codeBlock is a block of lines of code.
func codeBlock(lines []templ.Component) templ.Component {
	return templ.ComponentFunc(func(ctx context.Context, w io.Writer) error {
		if _, err := io.WriteString(w, "<pre><code>"); err != nil {
			return err
		}
		for _, l := range lines {
			if err := l.Render(ctx, w); err != nil {
				return err
			}
			if _, err := io.WriteString(w, "\n"); err != nil {
				return err
			}
		}
		_, err := io.WriteString(w, "</code></pre>\n")
		return err
	})
}
