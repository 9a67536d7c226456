package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"regexp"
	"strings"
	"unicode"

	"github.com/a-h/templ"
	"github.com/microcosm-cc/bluemonday"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/util"
	nethtml "golang.org/x/net/html"
)

// markdown renders what people write: GitHub's Markdown, cleaned of scripts, styles and everything else that is not text.
type markdown struct {
	md     goldmark.Markdown
	files  goldmark.Markdown // for files of repositories, whose headings can be linked to and which hold HTML at times
	policy *bluemonday.Policy
}

func newMarkdown() markdown {
	policy := bluemonday.UGCPolicy()
	policy.AllowAttrs("class").Matching(regexp.MustCompile(`^h[kscnfa]$`)).OnElements("span")
	policy.AllowAttrs("align").Matching(regexp.MustCompile(`^(left|center|right)$`)).OnElements("p", "div", "h1", "h2", "h3", "img", "td", "th")
	policy.AllowElements("input")
	policy.AllowAttrs("type").Matching(regexp.MustCompile(`^checkbox$`)).OnElements("input")
	policy.AllowAttrs("checked", "disabled").OnElements("input")
	policy.AllowAttrs("id").Matching(regexp.MustCompile(`^[\p{L}\p{M}\p{N}_:.-]+$`)).Globally()
	policy.AllowURLSchemes("mailto", "http", "https", attachmentScheme)
	files := goldmark.New(goldmark.WithExtensions(extension.GFM, extension.Footnote), goldmark.WithParserOptions(parser.WithAutoHeadingID()),
		goldmark.WithRendererOptions(html.WithUnsafe(), renderer.WithNodeRenderers(util.Prioritized(codeBlocks{}, 100))))
	return markdown{goldmark.New(goldmark.WithExtensions(extension.GFM)), files, policy}
}

// render makes HTML of the text; text that cannot be rendered is shown as it is.
func (m markdown) render(text string) templ.Component {
	var b bytes.Buffer
	if err := m.md.Convert([]byte(text), &b); err != nil {
		return plainText(text)
	}
	return templ.Raw(string(m.sanitize(b.Bytes())))
}

// sanitize leaves out what pages may not hold. The boxes of task lists are the only inputs that it lets through: they get a name for
// those who do not see them.
func (m markdown) sanitize(html []byte) []byte {
	return bytes.ReplaceAll(m.policy.SanitizeBytes(html), []byte("<input "), []byte(`<input aria-label="task" `))
}

// renderAt renders a file of a repository: links and pictures that are relative to it lead to the pages of that version.
func (m markdown) renderAt(c codeView, file, text string) templ.Component {
	return m.renderWith(c, file, text, nil)
}

// renderWith is renderAt for a text that has pictures with it, by their names: ![plot](attachment:plot.png) of a notebook's cell.
func (m markdown) renderWith(c codeView, file, text string, pictures map[string]string) templ.Component {
	var b bytes.Buffer
	if err := m.files.Convert([]byte(text), &b, parser.WithContext(parser.NewContext(parser.WithIDs(headingIDs{})))); err != nil {
		return plainText(text)
	}
	return m.clean(c, file, b.String(), pictures)
}

// attachmentScheme is that of a picture which a notebook's cell has with it (nbformat, cell attachments).
const attachmentScheme = "attachment"

// headingIDs names the headings of one text as GitHub does, so that links made for it lead there: letters and digits of any alphabet in lower case, with
// hyphens for spaces. The value says how often a name was given.
type headingIDs map[string]int

// Generate is parser.IDs'.
func (h headingIDs) Generate(value []byte, _ ast.NodeKind) []byte {
	name := strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case unicode.IsLetter(r), unicode.IsMark(r), unicode.IsNumber(r), r == '-', r == '_':
			return unicode.ToLower(r)
		}
		return -1
	}, strings.TrimSpace(strings.ToValidUTF8(string(value), "")))
	if name == "" {
		name = "heading"
	}
	n := h[name]
	h[name]++
	if n > 0 {
		return fmt.Appendf(nil, "%s-%d", name, n)
	}
	return []byte(name)
}

// Put is parser.IDs'.
func (h headingIDs) Put(value []byte) { h[string(value)]++ }

// clean takes out of HTML what is not text, and makes its links those of the version.
func (m markdown) clean(c codeView, file, text string, pictures map[string]string) templ.Component {
	clean := m.sanitize([]byte(text))
	var out strings.Builder
	tokens := nethtml.NewTokenizer(bytes.NewReader(clean))
	for {
		switch tokens.Next() {
		case nethtml.ErrorToken:
			if !errors.Is(tokens.Err(), io.EOF) {
				return plainText(text)
			}
			return templ.Raw(out.String())
		case nethtml.StartTagToken, nethtml.SelfClosingTagToken:
			t := tokens.Token()
			for i := range t.Attr {
				t.Attr[i].Val = rewritten(c, file, t.Data, t.Attr[i], pictures)
			}
			out.WriteString(t.String())
		default:
			out.Write(tokens.Raw())
		}
	}
}

// ownPrefix keeps the names of places in a file apart from those of the page around it.
const ownPrefix = "md-"

// rewritten is an attribute's value as the page needs it.
func rewritten(c codeView, file, tag string, a nethtml.Attribute, pictures map[string]string) string {
	page := ""
	switch {
	case a.Key == "id" || a.Key == "name":
		return ownPrefix + a.Val
	case a.Key == "src" && tag == "img":
		page = "raw"
	case a.Key == "href" && tag == "a":
	default:
		return a.Val
	}
	u, err := url.Parse(a.Val)
	if err == nil && u.Scheme == attachmentScheme {
		name, err := url.PathUnescape(u.Opaque)
		if err != nil || page == "" {
			return ""
		}
		return pictures[name]
	}
	if err != nil || u.Scheme != "" || u.Host != "" {
		return a.Val
	}
	if u.Path == "" {
		if u.Fragment == "" {
			return a.Val
		}
		return "#" + ownPrefix + u.EscapedFragment()
	}
	at := path.Join("/", path.Dir("/"+file), u.Path)
	if strings.HasPrefix(u.Path, "/") {
		at = path.Clean(u.Path)
	}
	address := c.At(page, strings.TrimPrefix(at, "/"))
	if u.Fragment != "" {
		name := u.EscapedFragment()
		if isMarkdown(at) {
			name = ownPrefix + name
		}
		address += "#" + name
	}
	return address
}

// codeBlocks colours the code in Markdown.
type codeBlocks struct{}

// RegisterFuncs is goldmark's way in.
func (codeBlocks) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(ast.KindFencedCodeBlock, func(w util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
		block, ok := node.(*ast.FencedCodeBlock)
		if !entering || !ok {
			return ast.WalkSkipChildren, nil
		}
		var text strings.Builder
		for i := range block.Lines().Len() {
			line := block.Lines().At(i)
			text.Write(line.Value(source))
		}
		err := codeBlock(highlightAs(string(block.Language(source)), text.String())).Render(context.Background(), w) // text that is made already
		return ast.WalkSkipChildren, err
	})
}
