package agent

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"slipway/internal/pipelines/coverage"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/variable"
)

// publishCoverage is the task PublishCodeCoverageResults@2: all reports that the patterns find are one.
func (t *task) publishCoverage(in inputs) error {
	found, err := find(t.folders.sources, newPatterns(in.m["summaryfilelocation"]))
	if err != nil {
		found = nil
	}
	return t.sendCoverage(in, found)
}

// publishCoverage1 is the task PublishCodeCoverageResults@1, which takes the first report that its pattern finds, and
// publishes a folder of pages and other files as artifacts.
func (t *task) publishCoverage1(in inputs) error {
	found, err := find(t.folders.sources, newPatterns(in.m["summaryfilelocation"]))
	if err != nil {
		found = nil
	}
	if len(found) > 1 {
		t.log.Printf("##[warning]Several files match the pattern; the first is taken: %s", found[0])
		found = found[:1]
	}
	if err := t.sendCoverage(in, found); err != nil || len(found) == 0 {
		return err
	}
	run := t.vars.Text(variable.BuildBuildID)
	if folder := in.text("reportDirectory"); folder != "" {
		if err := t.publishReport(folder, "Code Coverage Report_"+run); err != nil {
			return err
		}
	}
	pattern := in.text("additionalCodeCoverageFiles")
	if pattern == "" {
		return nil
	}
	list := newPatterns(pattern).expanded()
	for i := range list {
		list[i] = everywhere(list[i]) // the task matches with matchBase
	}
	files, err := find(t.folders.sources, list)
	if err != nil || len(files) == 0 {
		t.log.Printf("##[warning]No file matches %s.", pattern)
		return nil
	}
	return t.publishFiles(files, "Code Coverage Files_"+run)
}

// publishReport publishes a folder, or the first one that a pattern finds.
func (t *task) publishReport(folder, name string) error {
	path := t.absolute(strings.TrimRight(folder, `/\`))
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		matches, err := find(t.folders.sources, newPatterns(strings.TrimRight(folder, `/\`)+"/**"))
		if err != nil || len(matches) == 0 {
			t.log.Printf("##[warning]There is no report folder %s.", folder)
			return nil
		}
		path = filepath.Dir(matches[0])
	}
	return t.add(name, path)
}

// publishFiles publishes files under their paths in the sources, or under their names when they lie elsewhere.
func (t *task) publishFiles(files []string, name string) error {
	folder, err := os.MkdirTemp(t.folders.temp, "coverage")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	for _, path := range files {
		rel, err := filepath.Rel(t.folders.sources, path)
		if err != nil || !filepath.IsLocal(rel) {
			rel = filepath.Base(path)
		}
		to := filepath.Join(folder, rel)
		if err := gather(path, to); err != nil {
			return err
		}
	}
	return t.add(name, folder)
}

// gather puts a copy of a file among those that are published together.
func gather(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// sendCoverage reads reports and sends what they say together.
func (t *task) sendCoverage(in inputs, reports []string) error {
	var files []coverage.File
	tool, lines := "", 0
	for _, path := range reports {
		report, err := readCoverage(path)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if wanted := in.text("codeCoverageTool"); wanted != "" && !strings.EqualFold(wanted, report.Tool) {
			t.log.Printf("##[warning]%s is a report of %s, though codeCoverageTool says %s.", path, report.Tool, wanted)
		}
		places := t.places(in.text("pathToSources"), path, report)
		for i := range report.Files {
			report.Files[i].Path = places.of(report.Files[i].Path)
			lines += len(report.Files[i].Lines)
		}
		if lines > coverage.MaxLines {
			return fmt.Errorf("the reports have more than %d lines together", coverage.MaxLines)
		}
		tool = report.Tool
		files = coverage.Merge(files, report.Files)
		t.log.Printf("Read %s: %d files, %s", path, len(report.Files), report.Tool)
	}
	sum := coverage.SumOf(files)
	if sum.Lines == 0 {
		if in.flag("failIfCoverageEmpty", false) {
			return errors.New("there is no code coverage to publish")
		}
		t.log.Printf("##[warning]There is no code coverage to publish.")
		return nil
	}
	if len(files) > coverage.MaxFiles {
		return fmt.Errorf("the reports have more than %d files together", coverage.MaxFiles)
	}
	c := job.Coverage{Step: t.step.ID, Tool: tool, Files: files}
	if err := t.client.again(t.ctx, func() error { return t.client.call(t.ctx, "POST", "/coverage", c, nil) }); err != nil {
		return fmt.Errorf("publish code coverage: %w", err)
	}
	t.log.Printf("Published code coverage: %d of %d lines, %d of %d branches", sum.Covered, sum.Lines, sum.Taken, sum.Branches)
	return nil
}

func readCoverage(path string) (coverage.Report, error) {
	file, err := os.Open(path)
	if err != nil {
		return coverage.Report{}, err
	}
	defer file.Close()
	return coverage.Read(file)
}

// places are where the files of a report may lie.
type places struct {
	sources string
	folders []string
}

// layouts are where Maven and Gradle keep sources, below the folder of a module.
var layouts = []string{"src/main/java", "src/main/kotlin", "src/main/scala", "src/main/groovy", "src"}

// places are, in this order: what the step says, what the report says, the sources, and the folders above the report, in
// which a module's sources lie.
func (t *task) places(pathToSources, path string, r coverage.Report) places {
	p := places{sources: t.folders.sources}
	if pathToSources != "" {
		p.folders = append(p.folders, t.absolute(pathToSources))
	}
	for _, source := range r.Sources {
		p.folders = append(p.folders, t.absolute(source))
	}
	p.folders = append(p.folders, t.folders.sources)
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		if rel, err := filepath.Rel(t.folders.sources, dir); err != nil || !filepath.IsLocal(rel) {
			break
		}
		for _, layout := range layouts {
			p.folders = append(p.folders, filepath.Join(dir, layout))
		}
		if dir == t.folders.sources {
			break
		}
	}
	return p
}

// of is the path of a report's file in the repository, with slashes; one that is not found there stays as it is.
func (p places) of(name string) string {
	candidates := []string{name}
	if !filepath.IsAbs(name) {
		candidates = candidates[:0]
		for _, folder := range p.folders {
			candidates = append(candidates, filepath.Join(folder, name))
		}
	}
	for _, path := range candidates {
		rel, err := filepath.Rel(p.sources, path)
		if err != nil || !filepath.IsLocal(rel) {
			continue
		}
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return filepath.ToSlash(rel)
		}
	}
	return strings.TrimPrefix(filepath.ToSlash(filepath.Clean(name)), filepath.ToSlash(p.sources)+"/")
}
