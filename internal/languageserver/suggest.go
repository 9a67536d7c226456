package languageserver

import (
	"log/slog"

	"slipway/internal/pipelines/task"
)

// Suggestions are what an editor that has no language client of its own shows for a place in a pipeline file.
type Suggestions struct {
	Choices []Choice
	About   string // Markdown: what stands at the place; "" when there is nothing to say
}

// Choice is something that may stand at the place.
type Choice struct {
	Label, Detail string
	Doc           string // Markdown
	Insert        string // in place of the line's characters from Start to End
	Start, End    int    // in UTF-16 code units, as browsers count
}

// Suggest says what may stand at a place of a text, and what stands there. The line counts from 0, the character in UTF-16
// code units from 0; a place outside the text has no suggestions. The text is a file by itself: no file of the disk is
// read, so that templates which it names are not known.
func Suggest(tasks task.Catalog, text string, line, character int) Suggestions {
	s := New(slog.New(slog.DiscardHandler), Delay)
	s.Tasks = tasks
	d := newDocument("draft:pipeline", 0, text)
	if line < 0 || line >= len(d.lines) || character < 0 {
		return Suggestions{}
	}
	at := bytesOf(d.line(line), character)
	var out Suggestions
	for _, item := range s.complete(d, line, at).Items {
		c := Choice{Label: item.Label, Detail: item.Detail, Insert: item.TextEdit.NewText, Start: item.TextEdit.Range.Start.Character, End: item.TextEdit.Range.End.Character}
		if item.Documentation != nil {
			c.Doc = item.Documentation.Value
		}
		out.Choices = append(out.Choices, c)
	}
	if h := s.hover(d, line, at); h != nil {
		out.About = h.Contents.Value
	}
	return out
}
