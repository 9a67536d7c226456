package variable

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// DefaultFormat is the run's number when the file has no `name`.
const DefaultFormat = "$(Date:yyyyMMdd)$(Rev:.r)"

// maxNumber is the longest run number.
const maxNumber = 255

var (
	dateMacro = regexp.MustCompile(`(?i)\$\((Date(?::([^()]*))?|DayOfMonth|DayOfYear|Hours|Minutes|Month|Seconds|Year(?::([^()]*))?)\)`)
	// tokens are names that variables have in formats alone: those of Microsoft's "Run and build numbers", and BuildDefinitionName,
	// which was Team Foundation Server's and is in many files (tox-dev/azure-pipelines-template).
	tokenMacro = regexp.MustCompile(`(?i)\$\((TeamProject|SourceBranchName|BuildDefinitionName)\)`)
	tokens     = map[string]string{"teamproject": SystemTeamProject, "sourcebranchname": BuildSourceBranchName, "builddefinitionname": BuildDefinitionName}
	revMacro   = regexp.MustCompile(`(?i)\$\(Rev:([^()]*)\)`)
)

// Number is a run's number (its name) made from a format, as `name:` and build.updatebuildnumber use it: macros of
// variables, $(TeamProject), $(SourceBranchName), $(Date:format), $(Year:yy), $(DayOfYear), $(Rev:r) and so on. revision gives the next number, from 1, of the runs
// of the pipeline whose name is the same before and after the revision; it is called only if the format has a $(Rev).
// The characters that a name cannot have, " / : < > \ | ? @ *, and a point at its end become underscores.
func Number(format string, vars Set, now time.Time, revision func(before, after string) (int, error)) (string, error) {
	if strings.TrimSpace(format) == "" {
		format = DefaultFormat
	}
	text := dateMacro.ReplaceAllStringFunc(format, func(macro string) string { return dateText(macro[2:len(macro)-1], now) })
	text = tokenMacro.ReplaceAllStringFunc(text, func(macro string) string { return "$(" + tokens[strings.ToLower(macro[2:len(macro)-1])] + ")" })
	if place := revMacro.FindStringSubmatchIndex(text); place != nil {
		pattern := text[place[2]:place[3]]
		before, after := cleanNumber(vars.Expand(text[:place[0]])), cleanNumber(vars.Expand(text[place[1]:]))
		n, err := revision(before, after)
		if err != nil {
			return "", fmt.Errorf("take a revision for run number %q: %w", format, err)
		}
		text = before + revisionText(pattern, n) + after
	} else {
		text = cleanNumber(vars.Expand(text))
	}
	if len(text) > maxNumber {
		text = strings.ToValidUTF8(text[:maxNumber], "")
	}
	if strings.HasSuffix(text, ".") {
		text = strings.TrimSuffix(text, ".") + "_"
	}
	return text, nil
}

func cleanNumber(text string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("\"/:<>\\|?@*", r) || r < ' ' {
			return '_'
		}
		return r
	}, text)
}

// revisionText fills a pattern of r's, padded with zeros to their number: `.r` is .7, `rr` is 07.
func revisionText(pattern string, n int) string {
	start := strings.IndexAny(pattern, "rR")
	if start < 0 {
		return pattern
	}
	end := start
	for end < len(pattern) && (pattern[end] == 'r' || pattern[end] == 'R') {
		end++
	}
	return pattern[:start] + fmt.Sprintf("%0*d", end-start, n) + pattern[end:]
}

func dateText(macro string, now time.Time) string {
	name, format, _ := strings.Cut(macro, ":")
	switch strings.ToLower(name) {
	case "date":
		if format == "" {
			format = "yyyyMMdd"
		}
		return FormatTime(now, format)
	case "year":
		if format == "" {
			format = "yyyy"
		}
		return FormatTime(now, format)
	case "month":
		return fmt.Sprint(int(now.Month()))
	case "dayofmonth":
		return fmt.Sprint(now.Day())
	case "dayofyear":
		return fmt.Sprint(now.YearDay())
	case "hours":
		return fmt.Sprint(now.Hour())
	case "minutes":
		return fmt.Sprint(now.Minute())
	}
	return fmt.Sprint(now.Second())
}

// FormatTime writes a time in a .NET custom format: y, M, d, H, h, m, s, f, t in their repetitions; other letters stand
// for themselves.
func FormatTime(t time.Time, format string) string {
	var b strings.Builder
	for i := 0; i < len(format); {
		c := format[i]
		n := 1
		for i+n < len(format) && format[i+n] == c {
			n++
		}
		i += n
		switch c {
		case 'y':
			switch {
			case n <= 2:
				fmt.Fprintf(&b, "%0*d", n, t.Year()%100)
			default:
				fmt.Fprintf(&b, "%0*d", n, t.Year())
			}
		case 'M':
			b.WriteString(named(n, int(t.Month()), t.Month().String()))
		case 'd':
			b.WriteString(named(n, t.Day(), t.Weekday().String()))
		case 'H':
			fmt.Fprintf(&b, "%0*d", min(n, 2), t.Hour())
		case 'h':
			fmt.Fprintf(&b, "%0*d", min(n, 2), (t.Hour()+11)%12+1)
		case 'm':
			fmt.Fprintf(&b, "%0*d", min(n, 2), t.Minute())
		case 's':
			fmt.Fprintf(&b, "%0*d", min(n, 2), t.Second())
		case 'f':
			b.WriteString(fmt.Sprintf("%09d", t.Nanosecond())[:min(n, 7)])
		case 't':
			b.WriteString(t.Format("PM")[:min(n, 2)])
		default:
			b.WriteString(strings.Repeat(string(c), n))
		}
	}
	return b.String()
}

// named is a number of one or two digits, or a name of three letters or whole.
func named(n, number int, name string) string {
	switch n {
	case 1, 2:
		return fmt.Sprintf("%0*d", n, number)
	case 3:
		return name[:3]
	}
	return name
}

func sortByLength(list []string) {
	slices.SortStableFunc(list, func(a, b string) int { return len(b) - len(a) })
}
