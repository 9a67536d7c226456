package agent

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"slipway/internal/pipelines/mask"
)

// masker keeps secrets out of logs and reports.
type masker = mask.Masker

// maxLine is the longest line; a longer one is broken.
const maxLine = 256 << 10

// timestamp begins each line of a log.
func timestamp() []byte { return time.Now().UTC().AppendFormat(nil, "2006-01-02T15:04:05.0000000Z ") }

// stepLog takes what a step writes, line by line: commands are obeyed, secrets masked, and the line put into the spool.
// It is safe for concurrent use.
type stepLog struct {
	spool   *spool
	mask    *masker
	command func(command) []string // obeys a logging command and returns lines to show for it

	held *[]string // lines are kept here, without a spool

	mu      sync.Mutex
	partial []byte
	out     []byte // room for lines with their timestamps
	err     error
}

// Write takes output of a process in whatever pieces it comes.
func (l *stepLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(p)
	if end := bytes.LastIndexByte(p, '\n'); end >= 0 {
		block := p[:end+1]
		if len(l.partial) > 0 {
			block = append(l.partial, block...)
			l.partial = block[:0]
		}
		l.lines(block)
		p = p[end+1:]
	}
	l.partial = append(l.partial, p...)
	for len(l.partial) > maxLine+l.mask.Longest() {
		// A secret must not be cut in two: what is cut off has been masked, and the rest is long enough to hold one.
		masked := l.mask.Mask(string(l.partial))
		cut := max(len(masked)-l.mask.Longest(), 0)
		l.put(masked[:cut])
		l.partial = append(l.partial[:0], masked[cut:]...)
	}
	return n, nil
}

// Flush ends a line that has no end.
func (l *stepLog) Flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.partial) > 0 {
		l.line(string(l.partial))
		l.partial = l.partial[:0]
	}
}

// Printf writes lines of the agent's own, in which commands mean nothing.
func (l *stepLog) Printf(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range strings.Split(fmt.Sprintf(format, args...), "\n") {
		l.put(line)
	}
}

// lines takes whole lines: all at once when there is nothing in them to obey, to mask or to mend, which is nearly always.
func (l *stepLog) lines(block []byte) {
	if !l.clean(block) {
		for line := range bytes.Lines(block) {
			l.line(string(line[:len(line)-1]))
		}
		return
	}
	stamp := timestamp()
	l.out = l.out[:0]
	for line := range bytes.Lines(block) {
		l.out = append(append(l.out, stamp...), line...)
	}
	l.keep(l.out)
}

// clean reports lines that go into the log as they are.
func (l *stepLog) clean(block []byte) bool {
	return bytes.IndexByte(block, '\r') < 0 && bytes.IndexByte(block, 0) < 0 && !bytes.Contains(block, commandStart) &&
		utf8.Valid(block) && !l.mask.Found(block)
}

var commandStart = []byte("##vso[")

func (l *stepLog) line(line string) {
	line = strings.TrimSuffix(line, "\r")
	if c, ok := parseCommand(line); ok && l.command != nil {
		for _, shown := range l.command(c) {
			l.put(shown)
		}
		if hidden[c.name] {
			return
		}
	}
	l.put(line)
}

// hidden commands leave no line: their text may be a secret, or is shown in another form.
var hidden = map[string]bool{"task.setvariable": true, "task.setsecret": true, "task.logissue": true, "task.debug": true,
	"task.complete": true, "task.issue": true, "task.setprogress": true, "task.settaskvariable": true, "task.setendpoint": true, "telemetry.publish": true, "task.logdetail": true}

// put masks and stores one line.
func (l *stepLog) put(line string) {
	line = strings.ToValidUTF8(strings.ReplaceAll(l.mask.Mask(line), "\x00", ""), "\uFFFD")
	if l.held != nil {
		*l.held = append(*l.held, line)
		return
	}
	entry := append(timestamp(), line...)
	l.keep(append(entry, '\n'))
}

func (l *stepLog) keep(lines []byte) {
	if err := l.spool.add(lines); err != nil && l.err == nil {
		l.err = err
	}
}
