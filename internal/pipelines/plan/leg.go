package plan

import (
	"strconv"
	"strings"
)

// LegNames makes the names of legs from what a file or a run-time matrix calls them: every character that is no letter,
// digit, dash or underscore becomes an underscore, and names that are then the same get a number.
func LegNames(titles []string) []string {
	names := make([]string, len(titles))
	used := map[string]bool{}
	for i, title := range titles {
		name := strings.Map(func(r rune) rune {
			if r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
				return r
			}
			return '_'
		}, title)
		if len(name) > 100 {
			name = name[:100]
		}
		unique := name
		for n := 2; used[strings.ToLower(unique)]; n++ {
			unique = name + "_" + strconv.Itoa(n)
		}
		used[strings.ToLower(unique)] = true
		names[i] = unique
	}
	return names
}

// Slices are the legs of `parallel: N`.
func Slices(n int) []Leg {
	list := make([]Leg, n)
	for i := range list {
		list[i].Name = "Job" + strconv.Itoa(i+1)
	}
	return list
}
