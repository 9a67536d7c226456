package web

import (
	"bytes"

	"github.com/a-h/templ"
	"github.com/microcosm-cc/bluemonday"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
)

// markdown renders what people write: GitHub's Markdown, cleaned of scripts, styles and everything else that is not text.
type markdown struct {
	md     goldmark.Markdown
	policy *bluemonday.Policy
}

func newMarkdown() markdown {
	return markdown{goldmark.New(goldmark.WithExtensions(extension.GFM)), bluemonday.UGCPolicy()}
}

// render makes HTML of the text; text that cannot be rendered is shown as it is.
func (m markdown) render(text string) templ.Component {
	var b bytes.Buffer
	if err := m.md.Convert([]byte(text), &b); err != nil {
		return templ.Raw("<pre>" + templ.EscapeString(text) + "</pre>")
	}
	return templ.Raw(string(m.policy.SanitizeBytes(b.Bytes())))
}
