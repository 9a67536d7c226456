package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"slipway/internal/pipelines/job"
)

const (
	maxTestFiles    = 200 // that tests attach, in one step
	maxTestFileName = 150 // bytes of an attachment's name
)

// testFiles are those of the files that tests have attached which are there. They are named from the folder of the file of results; VSTest's
// may lie below a folder of that file's name.
func testFiles(results string, names []string) []string {
	var list []string
	for _, name := range names {
		name = filepath.FromSlash(strings.ReplaceAll(name, `\`, "/"))
		folder := filepath.Dir(results)
		base := strings.TrimSuffix(filepath.Base(results), filepath.Ext(results))
		for _, path := range []string{name, filepath.Join(folder, name), filepath.Join(folder, base, name)} {
			if info, err := os.Stat(path); filepath.IsAbs(path) && err == nil && info.Mode().IsRegular() {
				list = append(list, path)
				break
			}
		}
	}
	return list
}

// attachTestFiles attaches to the run what tests have attached to their results, as NAME OF THE TEST - FILE. What cannot be attached is a
// warning.
func (t *task) attachTestFiles(results []job.TestResult) {
	taken := map[string]bool{}
	for _, one := range results {
		for _, path := range one.Files {
			if len(taken) >= maxTestFiles {
				t.warn(fmt.Sprintf("The tests attach more than %d files: the rest is left out.", maxTestFiles))
				return
			}
			name := attachmentName(one.Name, filepath.Base(path))
			for n := 2; taken[name]; n++ {
				name = attachmentName(one.Name, fmt.Sprintf("%d %s", n, filepath.Base(path)))
			}
			taken[name] = true
			if err := t.sendAttachment(job.FileAttachment, name, path); err != nil {
				t.warn(fmt.Sprintf("The file %s of the test %s is not attached: %v", path, one.Name, err))
			}
		}
	}
}

// attachmentName is a name that an attachment may have.
func attachmentName(test, file string) string {
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || strings.ContainsRune(`/\`, r) {
			return '_'
		}
		return r
	}, test+" - "+file)
	if over := len(clean) - maxTestFileName; over > 0 {
		clean = cut(clean, maxTestFileName-len("… - "+file)) + "… - " + file
	}
	return clean
}
