package plan

import "strings"

// Unmet is the first of a pool's demands that capabilities do not meet, "" when they meet all. A demand is NAME, NAME -equals
// VALUE, or NAME -gtVersion VALUE; names and values are compared in any case.
func Unmet(demands []string, capabilities map[string]string) string {
	for _, demand := range demands {
		if !met(demand, capabilities) {
			return demand
		}
	}
	return ""
}

func met(demand string, capabilities map[string]string) bool {
	name, rest, _ := strings.Cut(strings.TrimSpace(demand), " ")
	operator, want, _ := strings.Cut(strings.TrimSpace(rest), " ")
	want = strings.TrimSpace(want)
	if strings.EqualFold(name, "Agent.Version") {
		return true // this agent does what the language has, whatever version of another one a file asks for
	}
	for own, value := range capabilities {
		if !strings.EqualFold(own, name) {
			continue
		}
		switch strings.ToLower(operator) {
		case "":
			return true
		case "-equals":
			return strings.EqualFold(value, want)
		case "-gtversion":
			return !versionLess(value, want)
		}
	}
	return false
}

// versionLess compares versions number by number; what is no number is 0.
func versionLess(a, b string) bool {
	x, y := strings.Split(strings.TrimPrefix(a, "v"), "."), strings.Split(strings.TrimPrefix(b, "v"), ".")
	for i := range max(len(x), len(y)) {
		if m, n := versionPart(x, i), versionPart(y, i); m != n {
			return m < n
		}
	}
	return false
}

func versionPart(parts []string, i int) int {
	n := 0
	if i < len(parts) {
		for _, c := range parts[i] {
			if c < '0' || c > '9' || n > 1<<24 {
				break
			}
			n = n*10 + int(c-'0')
		}
	}
	return n
}
