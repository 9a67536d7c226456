package web

import (
	"strings"

	"github.com/a-h/templ"
	"github.com/alecthomas/chroma/v2"
	"github.com/alecthomas/chroma/v2/lexers"
)

// maxHighlighted is the size of a text that is coloured, in bytes; a larger one is shown plain.
const maxHighlighted = 256 << 10

// highlight makes the lines of a source text, coloured by the language that the file's name tells.
func highlight(name, text string) []templ.Component {
	return highlightBy(lexers.Match(name), text)
}

// highlightAs is highlight for a language by its name.
func highlightAs(language, text string) []templ.Component {
	if language == "" {
		return plainLines(text)
	}
	return highlightBy(lexers.Get(language), text)
}

func highlightBy(lexer chroma.Lexer, text string) []templ.Component {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if lexer == nil || len(text) > maxHighlighted {
		return plainLines(text)
	}
	tokens, err := chroma.Coalesce(lexer).Tokenise(nil, text)
	if err != nil {
		return plainLines(text)
	}
	var lines []templ.Component
	for _, line := range chroma.SplitTokensIntoLines(tokens.Tokens()) {
		var b strings.Builder
		for _, t := range line {
			writeToken(&b, tokenClass(t.Type), strings.TrimSuffix(t.Value, "\n"))
		}
		lines = append(lines, templ.Raw(b.String()))
	}
	return lines
}

func plainLines(text string) []templ.Component {
	var lines []templ.Component
	for line := range strings.Lines(text) {
		lines = append(lines, templ.Raw(templ.EscapeString(strings.TrimSuffix(line, "\n"))))
	}
	return lines
}

func writeToken(b *strings.Builder, class, text string) {
	if class == "" {
		b.WriteString(templ.EscapeString(text))
		return
	}
	b.WriteString(`<span class="` + class + `">` + templ.EscapeString(text) + `</span>`)
}

// tokenClass is the style sheet's name for a kind of token; most have none.
func tokenClass(t chroma.TokenType) string {
	switch {
	case t.InCategory(chroma.Keyword):
		return "hk"
	case t.InCategory(chroma.Comment):
		return "hc"
	case t.InSubCategory(chroma.LiteralString):
		return "hs"
	case t.InSubCategory(chroma.LiteralNumber):
		return "hn"
	case t == chroma.NameFunction, t == chroma.NameClass, t == chroma.NameTag:
		return "hf"
	case t == chroma.NameAttribute, t == chroma.NameBuiltin, t == chroma.NameVariable:
		return "ha"
	}
	return ""
}
