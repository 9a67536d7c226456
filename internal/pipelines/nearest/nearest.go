// Package nearest finds what somebody meant who wrote a name that does not exist.
package nearest

import (
	"fmt"
	"slices"
	"strings"
)

// Misspelt reports whether name is a candidate with at most two slips in it.
func Misspelt(name string, candidates []string) bool {
	for _, c := range candidates {
		if len(c) > 3 && apart(name, c) <= 2 && distance(strings.ToLower(name), strings.ToLower(c)) <= 2 {
			return true
		}
	}
	return false
}

// Slip is the candidate that name is most likely a slip of: one slip away, or two in a name of eight letters or more, with the
// same digits in it; of four letters only two that have changed places. It is "" for a candidate itself, in any case, and without one so near.
func Slip(name string, candidates []string) string {
	allowed := 1
	if len(name) >= 8 {
		allowed = 2
	}
	found := ""
	for _, c := range candidates {
		if apart(name, c) > allowed {
			continue
		}
		switch d := distance(strings.ToLower(name), strings.ToLower(c)); {
		case d == 0:
			return ""
		case d <= allowed && (len(c) > 4 || len(c) == 4 && letters(name) == letters(c)) && digits(name) == digits(c):
			found, allowed = c, d
		}
	}
	return found
}

// letters are the letters of a name in alphabetical order.
func letters(s string) string {
	runes := []rune(strings.ToLower(s))
	slices.Sort(runes)
	return string(runes)
}

func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}

// Suggest is `, did you mean "x"?` with the candidate that is nearest to name, or "" if none is near.
func Suggest(name string, candidates []string) string {
	if best := Find(name, candidates); best != "" {
		return fmt.Sprintf(", did you mean %q?", best)
	}
	return ""
}

// Find is the candidate that is nearest to name, "" if none is near.
func Find(name string, candidates []string) string {
	best, bestDistance := "", max(2, len(name)/3)+1
	if len(name) < 5 {
		bestDistance = 2 // two slips make another word of so short a one
	}
	for _, c := range candidates {
		if apart(name, c) > bestDistance {
			continue
		}
		d := distance(strings.ToLower(name), strings.ToLower(c))
		longer := d == bestDistance && best != "" && begins(c, name) && !begins(best, name) // branch is rather branches than batch
		if d < bestDistance || longer {
			best, bestDistance = c, d
		}
	}
	if best == "" || bestDistance >= len(best) {
		return ""
	}
	return best
}

// apart is the least that the distance of two names can be, for their lengths: most candidates need no closer look. Lower case
// may have another length, which happens to letters that names do not have.
func apart(a, b string) int { return max(len(a)-len(b), len(b)-len(a)) }

// maxLength bounds names that are compared, in bytes.
const maxLength = 64

func begins(s, with string) bool { return strings.HasPrefix(strings.ToLower(s), strings.ToLower(with)) }

// distance counts the insertions, deletions, changes and swaps of neighbours between a and b.
func distance(a, b string) int {
	if len(a) > maxLength || len(b) > maxLength {
		return maxLength
	}
	var rows [3][maxLength + 1]int
	before, last, row := &rows[0], &rows[1], &rows[2]
	for j := range len(b) + 1 {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row = last, row, before
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(row[j-1]+1, last[j]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}
