package web

import (
	"fmt"
	"strings"

	"github.com/a-h/templ"

	"slipway/internal/pipelines/joblog"
)

// logItem is a line of a log, or a group of lines with the line that names it.
type logItem struct {
	Number  int
	URL     string // its permalink
	Time    string
	Class   string
	Spans   []joblog.Span
	Grouped bool
	Open    bool
	Group   []logItem
}

// logPainter makes items of a log's lines; it goes on where it was with the next part.
type logPainter struct {
	page   string // to which a line's number is added for its permalink
	line   int    // number of the next line
	chosen int    // line that is to be seen
	inside int    // groups that an earlier part opened
	joblog.Painter
}

// classes of lines by the formatting commands with which they begin.
var lineClasses = map[string]string{"error": "bad", "warning": "warn", "section": "section", "command": "command", "group": "section", "debug": "debug"}

// maxGroups is how deep groups lie in one another on the page.
const maxGroups = 8

// items parts text into lines and groups. A group whose end has not come is open, and what comes of it later is indented.
func (p *logPainter) items(text string) []logItem {
	root := logItem{}
	open := []*logItem{&root}
	for line := range strings.Lines(text) {
		item, mark := p.item(line)
		top := open[len(open)-1]
		switch {
		case mark == "endgroup" && len(open) > 1:
			open = open[:len(open)-1]
			open[len(open)-1].Open = open[len(open)-1].Open || top.Open
		case mark == "endgroup":
			p.inside = max(p.inside-1, 0)
		default:
			top.Group = append(top.Group, item)
			if item.Class == "bad" || item.Number == p.chosen {
				top.Open = true
			}
			if mark == "group" && len(open) <= maxGroups {
				last := &top.Group[len(top.Group)-1]
				last.Grouped, last.Open = true, false
				open = append(open, last)
			}
		}
	}
	for _, item := range open[1:] {
		item.Open = true
		p.inside++
	}
	return root.Group
}

// item is one line, and the formatting command that it begins with.
func (p *logPainter) item(line string) (item logItem, mark string) {
	line, whole := strings.CutSuffix(line, "\n")
	item = logItem{Number: p.line, URL: fmt.Sprintf("%s&l=%d#L%d", p.page, p.line, p.line)}
	if whole {
		p.line++
	}
	if len(line) >= joblog.TimeLength {
		item.Time, line = line[11:19], line[joblog.TimeLength:]
	}
	if rest, ok := strings.CutPrefix(line, "##["); ok {
		if name, text, ok := strings.Cut(rest, "]"); ok && (lineClasses[name] != "" || name == "endgroup") {
			mark, line, item.Class = name, text, lineClasses[name]
		}
	}
	item.Spans = p.Spans(strings.ToValidUTF8(line, "\uFFFD"))
	if item.Number == p.chosen {
		item.Class = strings.TrimSpace(item.Class + " chosen")
	}
	if p.inside > 0 {
		item.Class = strings.TrimSpace(item.Class + " inside")
	}
	return item, mark
}

// logText is HTML of lines without a space between what belongs together.
func logText(items []logItem) templ.Component {
	var b strings.Builder
	writeItems(&b, items)
	return templ.Raw(b.String())
}

func writeItems(b *strings.Builder, items []logItem) {
	for i := range items {
		item := &items[i]
		if !item.Grouped {
			item.write(b)
			continue
		}
		b.WriteString(`<details class="group"`)
		if item.Open {
			b.WriteString(" open")
		}
		b.WriteString("><summary>")
		item.write(b)
		b.WriteString("</summary>")
		writeItems(b, item.Group)
		b.WriteString("</details>")
	}
}

func (l *logItem) write(b *strings.Builder) {
	fmt.Fprintf(b, `<span class="%s" id="L%d"><a class="no" href="%s">%d</a><span class="at">%s</span>`,
		strings.TrimSpace("line "+l.Class), l.Number, templ.EscapeString(l.URL), l.Number, templ.EscapeString(l.Time))
	for _, span := range l.Spans {
		if class := spanClass(span.Style); class != "" {
			fmt.Fprintf(b, `<span class="%s">%s</span>`, class, templ.EscapeString(span.Text))
		} else {
			b.WriteString(templ.EscapeString(span.Text))
		}
	}
	b.WriteString("</span>")
}

// spanClass are the names of a style in the style sheet.
func spanClass(s joblog.Style) string {
	var names []string
	if s.Fore > 0 {
		names = append(names, fmt.Sprintf("f%d", s.Fore))
	}
	if s.Back > 0 {
		names = append(names, fmt.Sprintf("b%d", s.Back))
	}
	for _, one := range []struct {
		is   bool
		name string
	}{{s.Bold, "t-b"}, {s.Dim, "t-d"}, {s.Italic, "t-i"}, {s.Underline, "t-u"}, {s.Struck, "t-s"}} {
		if one.is {
			names = append(names, one.name)
		}
	}
	return strings.Join(names, " ")
}
