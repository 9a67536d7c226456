// Package retention decides which tags and manifests of a repository stay and which go, and says why. It is pure: what is
// there, what is in use and the time go in; one fate for each tag and each manifest without a tag comes out.
package retention

import (
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"slipway"
)

// Policy says what is kept and what goes. Its zero value keeps everything.
type Policy struct {
	// Keep are the rules of which one is enough for a tag to stay.
	Keep []Rule `json:"keep,omitempty"`
	// Remove are patterns of tags: one that matches goes unless a rule keeps it. `*` removes all the rest; none removes no tag.
	Remove []string `json:"remove,omitempty"`
	// UntaggedDays is how long a manifest stays that has no tag, in days; 0 is for ever.
	UntaggedDays int `json:"untaggedDays,omitempty"`
}

// Rule keeps the tags that match Tags, all of them or those for which one of its other fields holds.
type Rule struct {
	// Repositories are patterns of names, without which the rule is for all. `*` stands for no slash, `**` for any text.
	Repositories []string `json:"repositories,omitempty"`
	Tags         []string `json:"tags,omitempty"`       // patterns; all tags when empty
	Newest       int      `json:"newest,omitempty"`     // so many that were moved last
	PulledDays   int      `json:"pulledDays,omitempty"` // those pulled within so many days
	PushedDays   int      `json:"pushedDays,omitempty"` // those pushed within so many days
}

// Limits of a policy.
const (
	maxRules    = 50
	maxPatterns = 50
	maxPattern  = 255
	maxDays     = 36_500
	maxNewest   = 1_000_000
)

// Check says what is wrong with the policy.
func (p Policy) Check() error {
	if len(p.Keep) > maxRules {
		return slipway.Limit("a retention policy has at most %d rules", maxRules)
	}
	if err := CheckPatterns("remove", p.Remove); err != nil {
		return err
	}
	if p.UntaggedDays < 0 || p.UntaggedDays > maxDays {
		return slipway.Invalid("untaggedDays is %d: write 0 to %d", p.UntaggedDays, maxDays)
	}
	for i, r := range p.Keep {
		if err := CheckPatterns("tags", r.Tags); err != nil {
			return err
		}
		if err := CheckPatterns("repositories", r.Repositories); err != nil {
			return err
		}
		if min(r.Newest, r.PulledDays, r.PushedDays) < 0 || r.Newest > maxNewest || max(r.PulledDays, r.PushedDays) > maxDays {
			return slipway.Invalid("rule %d: newest is 0 to %d, and days are 0 to %d", i+1, maxNewest, maxDays)
		}
	}
	return nil
}

// CheckPatterns says what is wrong with patterns of names; field is what they are called.
func CheckPatterns(field string, patterns []string) error {
	if len(patterns) > maxPatterns {
		return slipway.Limit("%s has more than %d patterns", field, maxPatterns)
	}
	for _, p := range patterns {
		if strings.TrimSpace(p) == "" || len(p) > maxPattern || !doublestar.ValidatePattern(p) {
			return slipway.Invalid("%s: %q is no pattern: write names with * for any text, ? for a character, [a-z] and {a,b}", field, p)
		}
	}
	return nil
}

// Match is the first of the patterns that the name matches; empty when none does.
func Match(patterns []string, name string) string {
	for _, p := range patterns {
		if ok, err := doublestar.Match(p, name); ok && err == nil {
			return p
		}
	}
	return ""
}

// Use is a reason for an image to stay that lies outside of the registry: it runs, or may have to run again.
type Use struct {
	Digest     slipway.Digest // in whichever repository it is; empty when only the tag is known
	Repository string         // of Tag
	Tag        string
	Where      string // as a sentence goes on: runs in environment Production
}

// Tag is a tag as it is now.
type Tag struct {
	Name   string
	Digest slipway.Digest
	Moved  time.Time // when it came to point there
	Pulled time.Time // last; zero for never
	Locked bool      // by hand: it must not go
}

// Manifest is a manifest as it is now.
type Manifest struct {
	Digest   slipway.Digest
	Size     int64            // of the whole image, bytes
	Touched  time.Time        // when a push last relied on it, or it lost a tag
	Pulled   time.Time        // last, by its digest; zero for never
	Subject  slipway.Digest   // which it is about
	Children []slipway.Digest // of an index
	Locked   bool             // by hand: it must not go
}

// Repository is all that a decision is made of.
type Repository struct {
	Name      string
	Now       time.Time
	Tags      []Tag
	Manifests []Manifest
	Uses      []Use
	Immutable []string // patterns of tags that must not go
}

// Fate is what becomes of a tag, or of a manifest that has none, and why.
type Fate struct {
	Tag    string // empty for a manifest without a tag
	Digest slipway.Digest
	Size   int64 // of the whole image, bytes
	Keep   bool
	Reason string // as a sentence goes on after the tag
	Moved  time.Time
	Pulled time.Time
}
