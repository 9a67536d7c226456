package agent

import (
	"bytes"
	"regexp"
	"strings"
	"sync"
)

// maxDiagnoses bounds the messages of compilers that are read in one step, and maxDiagnosis one line with such a message, in bytes.
const (
	maxDiagnoses = 10_000
	maxDiagnosis = 16 << 10
)

var (
	// msbuildMessage is a message as MSBuild writes it: https://learn.microsoft.com/visualstudio/msbuild/msbuild-diagnostic-format-for-tasks. The project
	// stands behind it in brackets.
	msbuildMessage = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^\s*(?:\d+(?::\d+)?>)?(?P<file>[^\s(:][^():]*)(?:\((?P<line>\d+)(?:,(?P<column>\d+))?(?:,\d+,\d+)?\))?\s*:\s+` +
			`(?P<kind>error|warning)\s+(?P<code>[A-Za-z]+\d+)\s*:\s*(?P<text>.*?)(?:\s+\[[^\[\]]+\])?$`)
	})
	// mavenMessage is a message of a compiler as Maven writes it: processMavenOutput of the task Maven@4.
	mavenMessage = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^\[(?P<kind>ERROR|WARNING)\]\s+(?P<file>[A-Za-z0-9_ ./-]+):\[(?P<line>\d+),(?P<column>\d+)\]\s*(?P<text>.*)$`)
	})
)

// diagnosis takes what a build writes, and makes issues of the step of what compilers complain of in it, once each.
type diagnosis struct {
	task    *task
	message *regexp.Regexp
	told    map[string]bool
	partial []byte
}

func (d *diagnosis) Write(p []byte) (int, error) {
	n, err := d.task.log.Write(p)
	for _, b := range bytes.SplitAfter(p, []byte("\n")) {
		if len(d.partial)+len(b) <= maxDiagnosis {
			d.partial = append(d.partial, b...)
		}
		if bytes.HasSuffix(b, []byte("\n")) {
			d.read(strings.TrimRight(string(d.partial), "\r\n"))
			d.partial = d.partial[:0]
		}
	}
	return n, err
}

func (d *diagnosis) read(line string) {
	found := d.message.FindStringSubmatch(line)
	if found == nil || len(d.told) >= maxDiagnoses {
		return
	}
	part := func(name string) string { return found[d.message.SubexpIndex(name)] }
	properties := map[string]string{"type": strings.ToLower(part("kind")), "sourcepath": strings.TrimSpace(part("file")), "linenumber": part("line"), "columnnumber": part("column")}
	if i := d.message.SubexpIndex("code"); i >= 0 {
		properties["code"] = found[i]
	}
	if properties["linenumber"] == "" { // MSBUILD, a program or a project as a whole
		delete(properties, "sourcepath")
	}
	key := strings.Join([]string{properties["sourcepath"], properties["linenumber"], properties["columnnumber"], properties["code"], part("text")}, "\n")
	if d.told[key] {
		return
	}
	d.told[key] = true
	d.task.logIssue(command{properties: properties, text: part("text")})
}

// runDiagnosed is runShown for a program whose messages of that form become issues of the step.
func (t *task) runDiagnosed(p process, message *regexp.Regexp) error {
	p.stdout = &diagnosis{task: t, message: message, told: map[string]bool{}}
	return t.runShown(p)
}
