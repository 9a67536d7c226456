package web

import (
	"encoding/base64"
	"encoding/json"
	"regexp"
	"strings"

	"github.com/a-h/templ"

	"slipway/internal/repos"
)

const (
	maxCells   = 1000
	maxOutputs = 100     // of one cell
	maxOutput  = 200_000 // bytes of the text of one output
	maxPicture = 4 << 20 // bytes of a picture in a notebook
)

// notebookFile is a Jupyter notebook, version 4 (nbformat.readthedocs.io).
type notebookFile struct {
	Cells    []notebookCell `json:"cells"`
	Metadata struct {
		Language struct {
			Name string `json:"name"`
		} `json:"language_info"`
		Kernel struct {
			Language string `json:"language"`
		} `json:"kernelspec"`
	} `json:"metadata"`
	Version int `json:"nbformat"`
}

type notebookCell struct {
	Type    string           `json:"cell_type"` // markdown, code, raw
	Source  multiline        `json:"source"`
	Outputs []notebookOutput `json:"outputs"`
	Count   *int             `json:"execution_count"`
}

type notebookOutput struct {
	Type      string                     `json:"output_type"` // stream, display_data, execute_result, error
	Text      multiline                  `json:"text"`
	Data      map[string]json.RawMessage `json:"data"` // by type of content
	Name      string                     `json:"ename"`
	Value     string                     `json:"evalue"`
	Traceback []string                   `json:"traceback"`
}

// multiline is a text or a list of its lines.
type multiline string

// UnmarshalJSON takes both forms.
func (m *multiline) UnmarshalJSON(b []byte) error {
	var lines []string
	if json.Unmarshal(b, &lines) == nil {
		*m = multiline(strings.Join(lines, ""))
		return nil
	}
	return json.Unmarshal(b, (*string)(m))
}

type cellView struct {
	Kind    string // markdown, code, raw
	Count   *int
	Text    templ.Component   // of Markdown and raw cells
	Lines   []templ.Component // of code
	Outputs []templ.Component
}

// notebook shows the cells of a notebook with their outputs as text and pictures: nothing in it runs. It is nil for a file that is none.
func (p codePages) notebook(c codeView, f repos.File) templ.Component {
	var file notebookFile
	if json.Unmarshal(f.Content, &file) != nil || file.Version < 4 || file.Cells == nil {
		return nil
	}
	language := file.Metadata.Language.Name
	if language == "" {
		language = file.Metadata.Kernel.Language
	}
	more := len(file.Cells) > maxCells
	var cells []cellView
	for _, cell := range file.Cells[:min(len(file.Cells), maxCells)] {
		view := cellView{Kind: cell.Type, Count: cell.Count}
		switch cell.Type {
		case "markdown":
			view.Text = p.markdown.renderAt(c, f.Path, string(cell.Source))
		case "code":
			view.Lines = highlightAs(language, string(cell.Source))
			for _, o := range cell.Outputs[:min(len(cell.Outputs), maxOutputs)] {
				if shown := p.output(c, f.Path, o); shown != nil {
					view.Outputs = append(view.Outputs, shown)
				}
			}
		default:
			view.Text = plainText(string(cell.Source))
		}
		cells = append(cells, view)
	}
	return codeNotebook(cells, more)
}

var escapeSequence = regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]`)

// output chooses of what a cell gave the form that can be shown safely.
func (p codePages) output(c codeView, at string, o notebookOutput) templ.Component {
	switch o.Type {
	case "stream":
		return outputText(string(o.Text))
	case "error":
		text := strings.Join(o.Traceback, "\n")
		if text == "" {
			text = o.Name + ": " + o.Value
		}
		return outputText(text)
	}
	text := func(kind string) string {
		var m multiline
		if json.Unmarshal(o.Data[kind], &m) != nil {
			return ""
		}
		return string(m)
	}
	for _, kind := range []string{"image/png", "image/jpeg", "image/gif"} {
		if data := strings.Join(strings.Fields(text(kind)), ""); data != "" && len(data) <= maxPicture {
			if _, err := base64.StdEncoding.DecodeString(data); err == nil {
				return codePicture("data:" + kind + ";base64," + data)
			}
		}
	}
	if svg := text("image/svg+xml"); svg != "" && len(svg) <= maxPicture { // in an image element nothing of it runs
		return codePicture("data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString([]byte(svg)))
	}
	if html := text("text/html"); html != "" && len(html) <= maxOutput {
		return p.markdown.clean(c, at, html)
	}
	if md := text("text/markdown"); md != "" && len(md) <= maxOutput {
		return p.markdown.renderAt(c, at, md)
	}
	if plain := text("text/plain"); plain != "" {
		return outputText(plain)
	}
	return nil
}

func outputText(text string) templ.Component {
	text = escapeSequence.ReplaceAllString(text, "")
	if len(text) > maxOutput {
		text = text[:maxOutput] + "\n…"
	}
	return plainText(text)
}
