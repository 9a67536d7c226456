package progress

import (
	"cmp"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// Step is a step of a build.
type Step struct {
	Name    string  `json:"name"` // as `[2/3] RUN go build`
	Cached  bool    `json:"cached,omitempty"`
	Failed  bool    `json:"failed,omitempty"`
	Running bool    `json:"running,omitempty"` // it has begun and not ended
	Seconds float64 `json:"seconds"`
}

// longDigest is a digest in an image's name.
var longDigest = regexp.MustCompile(`(@sha256:[0-9a-f]{12})[0-9a-f]{52}\b`)

// Title is the step's name on one line, with digests shortened.
func (s Step) Title() string {
	return longDigest.ReplaceAllString(strings.Join(strings.Fields(s.Name), " "), "$1…")
}

// Outcome is how far the step has come: running, failed, cached or done.
func (s Step) Outcome() string {
	switch {
	case s.Running:
		return "running"
	case s.Failed:
		return "failed"
	case s.Cached:
		return "cached"
	}
	return "done"
}

// Summary is what is to be said of a build when it is over.
type Summary struct {
	Steps   []Step  `json:"steps"` // in the order in which they ended
	Seconds float64 `json:"seconds"`
}

// Dockerfile lists the steps that are instructions of the Dockerfile, which alone can be cached.
func (s Summary) Dockerfile() []Step {
	var out []Step
	for _, step := range s.Steps {
		if instruction.MatchString(step.Name) {
			out = append(out, step)
		}
	}
	return out
}

// instruction is how BuildKit names a Dockerfile's step: [STAGE N/M] or [PLATFORM STAGE N/M], then the instruction.
var instruction = regexp.MustCompile(`^\[[^\]]*\d+/\d+\] `)

// Cached counts the cached of the Dockerfile's steps.
func (s Summary) Cached() (cached, of int) {
	for _, step := range s.Dockerfile() {
		of++
		if step.Cached {
			cached++
		}
	}
	return cached, of
}

// Slowest gives up to n steps, the slowest first, without those that took less than a tenth of a second.
func (s Summary) Slowest(n int) []Step {
	steps := slices.DeleteFunc(slices.Clone(s.Steps), func(step Step) bool { return step.Cached || step.Seconds < 0.1 })
	slices.SortStableFunc(steps, func(a, b Step) int { return cmp.Compare(b.Seconds, a.Seconds) })
	return steps[:min(n, len(steps))]
}

// shownSlowest is how many steps the log's summary names.
const shownSlowest = 3

// Print writes the summary as the end of a build's log.
func (s Summary) Print(w io.Writer) {
	cached, of := s.Cached()
	fmt.Fprintf(w, "%d of %d steps cached, %.1fs", cached, of, s.Seconds)
	var slow []string
	for _, step := range s.Slowest(shownSlowest) {
		slow = append(slow, fmt.Sprintf("%s %.1fs", shorten(step.Name), step.Seconds))
	}
	if len(slow) > 0 {
		fmt.Fprintf(w, "; slowest: %s", strings.Join(slow, ", "))
	}
	fmt.Fprintln(w)
}

// shorten keeps a step's name to one short line.
func shorten(name string) string {
	name = strings.Join(strings.Fields(name), " ")
	const most = 60
	if runes := []rune(name); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return name
}
