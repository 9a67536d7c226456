package agent

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// taskRunner is the tasks gulp@0, gulp@1 and Grunt@0, which run a program of Node.js: the one on PATH, or one of the project.
type taskRunner struct {
	*task
	in      inputs
	program string // gulp or grunt
	file    string // the input and the option with the program's file of tasks
	script  string // the input with the project's own program
	// own says that the project's program, if it is given, comes before that on PATH, which there must be then without one.
	own bool
}

func (r taskRunner) do() error {
	dir := r.absolute(r.in.text("cwd"))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the working directory: %w", err)
	}
	file := r.absolute(cmp.Or(r.in.text(r.file), r.program+"file.js"))
	if !present(file) {
		return fmt.Errorf("the file %s, which %s names, is not there", file, r.file)
	}
	p := process{dir: dir}
	var err error
	if p.name, p.args, err = r.command(dir); err != nil {
		return err
	}
	p.args = append(p.args, strings.Fields(r.in.text("targets"))...)
	p.args = append(p.args, "--"+strings.ToLower(r.file), file)
	p.args = append(p.args, splitArguments(r.in.text("arguments"))...)
	err = r.tested(r.in, "**/TEST-*.xml", r.runShown(p))
	if err != nil || !r.in.flag("enableCodeCoverage", false) {
		return err
	}
	return r.cover(dir)
}

// command is the program with its first arguments.
func (r taskRunner) command(dir string) (string, []string, error) {
	given := r.in.text(r.script)
	path, err := r.look(r.program)
	if err == nil && (!r.own || given == "") {
		return path, nil, nil
	}
	if given == "" {
		return "", nil, fmt.Errorf("%w: install it in a step before, or name the project's own by %s", err, r.script)
	}
	script := given
	if !filepath.IsAbs(script) {
		script = filepath.Join(dir, script)
	}
	if !present(script) {
		return "", nil, fmt.Errorf("there is no %s on PATH, and none is %s: run npm install in a step before, or name it by %s", r.program, script, r.script)
	}
	node, err := r.look("node")
	if err != nil {
		return "", nil, fmt.Errorf("%w: put UseNode@1 before this step", err)
	}
	return node, []string{script}, nil
}

// cover runs the tests once more, in Istanbul, which measures their coverage, and publishes that.
func (r taskRunner) cover(dir string) error {
	if err := r.runShown(process{name: "npm", args: []string{"install", "istanbul"}, dir: dir}); err != nil {
		return err
	}
	args := []string{"./node_modules/istanbul/lib/cli.js", "cover", "--report", "cobertura", "--report", "html"}
	if sources := r.in.text("srcFiles"); sources != "" {
		args = append(args, "-i", "./"+filepath.Clean(sources))
	}
	if strings.EqualFold(r.in.text("testFramework"), "jasmine") {
		args = append(args, "./node_modules/jasmine/bin/jasmine.js", "JASMINE_CONFIG_PATH=node_modules/jasmine/lib/examples/jasmine.json")
	} else {
		args = append(args, "./node_modules/mocha/bin/_mocha")
	}
	failed := r.runShown(process{name: "node", args: append(args, r.in.text("testFiles")), dir: dir})
	if r.ctx.Err() != nil {
		return failed
	}
	folder := filepath.Join(dir, "coverage")
	err := r.publishCoverage1(inputs{r.task, map[string]string{"codecoveragetool": "Cobertura", "summaryfilelocation": filepath.Join(folder, "cobertura-coverage.xml"), "reportdirectory": folder}})
	return cmp.Or(failed, err)
}
