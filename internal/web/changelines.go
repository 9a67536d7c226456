package web

import (
	"strings"
	"unicode"

	"github.com/sergi/go-diff/diffmatchpatch"

	"slipway/internal/repos"
)

// changeRow is a row of a changed file's table: the head of a changed place, or a line. In a table with two sides Left and Right are the texts beside each
// other; in one with a single text a row that has both is a line that is the same on both sides.
type changeRow struct {
	Head        string
	Left, Right *changeCell // nil where the side has nothing
}

// changeCell is a line of one side.
type changeCell struct {
	ID                   string // by which addresses name it
	Number               int
	Class, Sign          string // added, removed or nothing; and the sign that goes with it
	Parts                []linePart
	Covered, CoveredNote string // how a run of a pull request covers the line: a class, and in words
	AskURL               string // of the form for a comment on the line; empty where there is none
	Notes                lineNotes
}

// lineNotes is what stands below a line.
type lineNotes struct {
	Threads []threadView
	Drafts  []draftNote
	Ask     *askView
}

// Any says that there is something to show.
func (n lineNotes) Any() bool { return len(n.Threads)+len(n.Drafts) > 0 || n.Ask != nil }

// askOnly says that there is nothing but the form, which gets the whole width.
func (n lineNotes) askOnly() bool { return n.Ask != nil && len(n.Threads)+len(n.Drafts) == 0 }

func (n *lineNotes) add(more lineNotes) {
	n.Threads, n.Drafts = append(n.Threads, more.Threads...), append(n.Drafts, more.Drafts...)
}

// linePart is a piece of a line; Mark says that the other side has another one there.
type linePart struct {
	Text string
	Mark bool
}

// hunkRows makes the rows of a changed place.
func hunkRows(h repos.Hunk, head string, sides bool) []changeRow {
	rows := []changeRow{{Head: head}}
	var removed, added []repos.DiffLine
	flush := func() {
		rows = append(rows, changedRows(removed, added, sides)...)
		removed, added = nil, nil
	}
	for _, l := range h.Lines {
		switch l.Op {
		case '-':
			if len(added) > 0 {
				flush()
			}
			removed = append(removed, l)
		case '+':
			added = append(added, l)
		default:
			flush()
			rows = append(rows, changeRow{Left: newCell(l, l.Old, "", nil), Right: newCell(l, l.New, "", nil)})
		}
	}
	flush()
	return rows
}

// changedRows puts the lines that were removed in one place and those that were added there beside each other, or below each other.
func changedRows(removed, added []repos.DiffLine, sides bool) []changeRow {
	var rows, below []changeRow
	for i := range max(len(removed), len(added)) {
		var row changeRow
		var was, is []linePart
		if i < len(removed) && i < len(added) {
			was, is = changedWords(removed[i].Text, added[i].Text)
		}
		if i < len(removed) {
			row.Left = newCell(removed[i], removed[i].Old, "removed", was)
		}
		if i < len(added) {
			row.Right = newCell(added[i], added[i].New, "added", is)
		}
		switch {
		case sides:
			rows = append(rows, row)
		default:
			if row.Left != nil {
				rows = append(rows, changeRow{Left: row.Left})
			}
			if row.Right != nil {
				below = append(below, changeRow{Right: row.Right})
			}
		}
	}
	return append(rows, below...)
}

func newCell(l repos.DiffLine, number int, class string, parts []linePart) *changeCell {
	c := &changeCell{Number: number, Class: class, Sign: string(l.Op), Parts: parts}
	if parts == nil {
		text := l.Text
		if len(text) > maxLineLength {
			text = strings.ToValidUTF8(text[:maxLineLength], "") + " …"
		}
		c.Parts = []linePart{{Text: text}}
	}
	return c
}

const (
	maxWordLine = 1000 // bytes of a line in which words are compared
	// fewSame is the part of two lines, in percent, that is the same in both at least; else they are two other lines and no word of them is marked.
	fewSame = 30
)

// changedWords marks the words in which two lines differ; nil when they have little in common.
func changedWords(was, is string) (left, right []linePart) {
	if len(was) > maxWordLine || len(is) > maxWordLine || was == is {
		return nil, nil
	}
	words := map[string]rune{} // each word is a letter of the texts that are compared
	var back []string
	letters := func(text string) []rune {
		var letters []rune
		for _, word := range splitWords(text) {
			letter, ok := words[word]
			if !ok {
				letter = rune(len(back) + 1)
				words[word], back = letter, append(back, word)
			}
			letters = append(letters, letter)
		}
		return letters
	}
	compare := diffmatchpatch.New()
	compare.DiffTimeout = 0 // lines are short, and what is shown does not depend on how busy the machine is
	a, b := letters(was), letters(is)
	same := 0
	for _, d := range compare.DiffCleanupSemantic(compare.DiffMainRunes(a, b, false)) {
		var text strings.Builder
		for _, letter := range d.Text {
			text.WriteString(back[letter-1])
		}
		switch d.Type {
		case diffmatchpatch.DiffEqual:
			same += len(strings.TrimSpace(text.String()))
			left, right = append(left, linePart{Text: text.String()}), append(right, linePart{Text: text.String()})
		case diffmatchpatch.DiffDelete:
			left = append(left, linePart{text.String(), true})
		case diffmatchpatch.DiffInsert:
			right = append(right, linePart{text.String(), true})
		}
	}
	if same*100 < fewSame*max(len(strings.TrimSpace(was)), len(strings.TrimSpace(is))) {
		return nil, nil
	}
	return left, right
}

// splitWords splits a line at the borders of words and of runs of spaces.
func splitWords(text string) []string {
	kind := func(r rune) int {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_':
			return 1
		case unicode.IsSpace(r):
			return 2
		}
		return 0 // stands by itself
	}
	var words []string
	start, last := 0, -1
	for i, r := range text {
		k := kind(r)
		if i > start && (k != last || k == 0) {
			words = append(words, text[start:i])
			start = i
		}
		last = k
	}
	if start < len(text) {
		words = append(words, text[start:])
	}
	return words
}
