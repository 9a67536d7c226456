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
	// Attachments are pictures of a Markdown cell, by their names and then by type of content.
	Attachments map[string]map[string]json.RawMessage `json:"attachments"`
}

type notebookOutput struct {
	Type      string                     `json:"output_type"` // stream, display_data, execute_result, error
	Stream    string                     `json:"name"`        // stdout, stderr
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
	Outputs []outputView
	More    bool // there are more outputs
}

type outputView struct {
	Shown templ.Component
	Tone  string // error for what went wrong or was written to the standard error
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
			view.Text = p.markdown.renderWith(c, f.Path, string(cell.Source), cell.pictures())
		case "code":
			view.Lines = highlightAs(language, string(cell.Source))
			view.More = len(cell.Outputs) > maxOutputs
			for _, o := range cell.Outputs[:min(len(cell.Outputs), maxOutputs)] {
				if shown := p.output(c, f.Path, o); shown != nil {
					view.Outputs = append(view.Outputs, outputView{shown, o.tone()})
				}
			}
		default:
			view.Text = plainText(string(cell.Source))
		}
		cells = append(cells, view)
	}
	return codeNotebook(cells, more)
}

// tone says that an output tells of something wrong.
func (o notebookOutput) tone() string {
	if o.Type == "error" || o.Stream == "stderr" {
		return "error"
	}
	return ""
}

// pictures are the attachments of a cell that can be shown safely, as data.
func (c notebookCell) pictures() map[string]string {
	found := map[string]string{}
	for name, kinds := range c.Attachments {
		if data := pictureData(kinds); data != "" {
			found[name] = data
		}
	}
	return found
}

// pictureData is a picture among the forms of one thing, as the address of an image; empty when there is none.
func pictureData(kinds map[string]json.RawMessage) string {
	for _, kind := range []string{"image/png", "image/jpeg", "image/gif"} {
		if data := strings.Join(strings.Fields(textOf(kinds[kind])), ""); data != "" && len(data) <= maxPicture {
			if _, err := base64.StdEncoding.DecodeString(data); err == nil {
				return "data:" + kind + ";base64," + data
			}
		}
	}
	if svg := textOf(kinds["image/svg+xml"]); svg != "" && len(svg) <= maxPicture { // in an image element nothing of it runs
		return "data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString([]byte(svg))
	}
	return ""
}

// textOf is a text or its lines, empty when it is neither.
func textOf(raw json.RawMessage) string {
	var m multiline
	if json.Unmarshal(raw, &m) != nil {
		return ""
	}
	return string(m)
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
	text := func(kind string) string { return textOf(o.Data[kind]) }
	if picture := pictureData(o.Data); picture != "" {
		return codePicture(picture)
	}
	if html := text("text/html"); html != "" && len(html) <= maxOutput {
		return p.markdown.clean(c, at, html, nil)
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
