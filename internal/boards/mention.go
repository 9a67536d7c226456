package boards

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"slipway"
	"slipway/internal/db"
)

// Mention is an `AB#12` in a text.
type Mention struct {
	ID slipway.WorkItemID
	// Word is the one right before it, in lower case, when it asks for a state: fix, fixes, fixed, resolve, resolves,
	// or the name of a state.
	Word string
}

// A mention stands alone: `AB#12` but not `CAB#12`, `AB#12x` or the AB#1 of a URL's fragment `/AB#1`.
var mentionForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)(?:^|[^\pL\pN_/#-])(?:(\pL+)[ \t]+)?AB#([0-9]{1,10})`)
})

const maxMentions = 100 // in one text

// Mentions finds the work items that a commit's message or a pull request mentions, each once, in their order. The
// rules are those of Azure Boards for GitHub ("Link to work items from GitHub", "Use AB# mention"): any case, and a
// word counts for the one mention that follows it.
func Mentions(text string) []Mention {
	var list []Mention
	for _, at := range mentionForm().FindAllStringSubmatchIndex(text, maxMentions) {
		word, digits := "", text[at[4]:at[5]]
		if at[2] >= 0 {
			word = strings.ToLower(text[at[2]:at[3]])
		}
		id, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || id == 0 || startsWithWord(text[at[5]:]) {
			continue
		}
		if !isKeyword(word) {
			word = ""
		}
		m := Mention{slipway.WorkItemID(id), word}
		if i := slices.IndexFunc(list, func(o Mention) bool { return o.ID == m.ID }); i < 0 {
			list = append(list, m)
		} else if m.Word != "" {
			list[i].Word = m.Word
		}
	}
	return list
}

func startsWithWord(s string) bool {
	first, _ := utf8.DecodeRuneInString(s)
	return first == '_' || unicode.IsLetter(first) || unicode.IsNumber(first)
}

func isKeyword(word string) bool {
	switch word {
	case "fix", "fixes", "fixed", "resolve", "resolves", "resolved", "close", "closes", "closed", "new", "active", "removed":
		return true
	}
	return false
}

// state is what the mention's word asks for: fixed work is Resolved, or Closed where the type is never resolved; the
// name of a state is that state. It reports false when it asks for nothing that the type has.
func (m Mention) state(t Type) (State, bool) {
	switch m.Word {
	case "":
		return "", false
	case "fix", "fixes", "fixed", "resolve", "resolves", "resolved":
		return t.Done(), true
	case "close", "closes":
		return Closed, true
	}
	s, err := t.ParseState(m.Word)
	return s, err == nil
}

// Mentioned is a text with mentions: a commit's message, or a pull request's title and description.
type Mentioned struct {
	Project slipway.ProjectID // whose items may be meant
	By      slipway.Actor
	Text    string
	Link    Link // to the commit or pull request; its To is what makes telling again harmless
	// Final says that the change is on the repository's default branch now, which moves the items that the text
	// fixes. A text may be told first with false and later with true.
	Final bool
}

// LinkMentions links the items that a text mentions, moves those that it fixes once the change is final, and returns
// them. Items of other projects are not meant. The move happens once for each text and item: an item that somebody
// reopened stays open.
func (s *Service) LinkMentions(ctx context.Context, m Mentioned) ([]Item, error) {
	mentions := Mentions(m.Text)
	if len(mentions) == 0 {
		return []Item{}, nil
	}
	var list []Item
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		list = []Item{}
		for _, mention := range mentions {
			i, err := getItem(ctx, tx, mention.ID)
			if slipway.CodeOf(err) == slipway.CodeNotFound || err == nil && i.Project != m.Project {
				continue
			}
			if err != nil {
				return err
			}
			if _, err := s.link(ctx, tx, m.By, i, m.Link); err != nil {
				return err
			}
			if state, ok := mention.state(i.Type); ok && m.Final {
				if i, err = s.moveOnce(ctx, tx, m.By, i, m.Link.To, state); err != nil {
					return err
				}
			}
			list = append(list, i)
		}
		return nil
	})
	return list, err
}

// ResolveLinked moves the items of a project that are linked to a thing on to where finished work is, each at most once on account of that thing, and
// returns them. Items that nobody works on any more stay.
func (s *Service) ResolveLinked(ctx context.Context, by slipway.Actor, project slipway.ProjectID, because slipway.Reference) ([]Item, error) {
	linked, err := s.List(ctx, Filter{Project: project, Reference: because})
	if err != nil {
		return nil, err
	}
	moved := []Item{}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		moved = []Item{}
		for _, one := range linked {
			i, err := getItem(ctx, tx, one.ID)
			if slipway.CodeOf(err) == slipway.CodeNotFound || err == nil && !i.State.Open() {
				continue
			}
			if err != nil {
				return err
			}
			if i, err = s.moveOnce(ctx, tx, by, i, because, i.Type.Done()); err != nil {
				return err
			}
			moved = append(moved, i)
		}
		return nil
	})
	return moved, err
}

// moveOnce sets the item's state on account of a thing, unless it was moved on its account before.
func (s *Service) moveOnce(ctx context.Context, tx *db.Tx, by slipway.Actor, i Item, because slipway.Reference, state State) (Item, error) {
	const insert = `
		INSERT INTO boards_moves (item_id, reference_kind, reference_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`
	result, err := tx.ExecContext(ctx, insert, int64(i.ID), string(because.Kind), because.ID)
	if err != nil {
		return i, fmt.Errorf("move work item %d on account of %s: %w", i.ID, because, err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return i, err
	}
	return s.update(ctx, tx, by, i.ID, Change{State: &state})
}
