package agent

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"slipway/internal/pipelines/job"
)

const (
	maxTestFiles    = 200 // that are attached to test results, in one step
	maxTestFileName = 150 // bytes of an attachment's name
)

// publishedTests is what an attempt of a step has published of tests so far, so that nothing takes the place of what came before it.
type publishedTests struct {
	titles, files map[string]int
	attached      int
	full          bool // it has been said that there are too many files
}

func newPublishedTests() *publishedTests {
	return &publishedTests{titles: map[string]int{}, files: map[string]int{}}
}

// title makes the title of a publication one of its own, as TITLE_2.
func (p *publishedTests) title(wanted string) string {
	name := wanted
	for n := 2; p.titles[name] > 0; n++ {
		name = fmt.Sprintf("%s_%d", wanted, n)
	}
	p.titles[name]++
	return name
}

// file makes the name of an attachment one of its own in a place.
func (p *publishedTests) file(place, prefix, base string) string {
	name := attachmentName(prefix, base)
	for n := 2; p.files[place+"\x00"+name] > 0; n++ {
		name = attachmentName(prefix, fmt.Sprintf("%d %s", n, base))
	}
	p.files[place+"\x00"+name]++
	return name
}

// mayAttach counts a file, and warns once there are too many.
func (t *task) mayAttach() bool {
	if t.tests.attached < maxTestFiles {
		t.tests.attached++
		return true
	}
	if !t.tests.full {
		t.tests.full = true
		t.warn(fmt.Sprintf("More than %d files are attached to test results: the rest is left out.", maxTestFiles))
	}
	return false
}

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
	for _, one := range results {
		for _, path := range one.Files {
			if !t.mayAttach() {
				return
			}
			if err := t.sendAttachment(job.FileAttachment, t.tests.file("", one.Name+" - ", filepath.Base(path)), path); err != nil {
				t.warn(fmt.Sprintf("The file %s of the test %s is not attached: %v", path, one.Name, err))
			}
		}
	}
}

// attachRunFiles attaches the files of a publication to it: those of results, and what runners attached to all of them. What cannot be attached is a
// warning.
func (t *task) attachRunFiles(run job.TestRun) {
	sent := map[string]bool{}
	for _, path := range run.Files {
		if sent[path] {
			continue
		}
		sent[path] = true
		if !t.mayAttach() {
			return
		}
		query := url.Values{"title": {run.Title}, "name": {t.tests.file(run.Title, "", filepath.Base(path))}}
		if err := t.sendFile("/tests/"+strconv.Itoa(run.Step)+"/attachments?"+query.Encode(), path); err != nil {
			t.warn(fmt.Sprintf("The file %s is not attached to the test results %s: %v", path, run.Title, err))
		}
	}
}

// attachmentName is a name that an attachment may have.
func attachmentName(prefix, file string) string {
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || strings.ContainsRune(`/\`, r) {
			return '_'
		}
		return r
	}, prefix+file)
	if over := len(clean) - maxTestFileName; over > 0 {
		if room := maxTestFileName - len("… - "+file); prefix != "" && room > 0 {
			return cut(clean, room) + "… - " + file
		}
		return cut(clean, maxTestFileName)
	}
	return clean
}
