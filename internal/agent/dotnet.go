package agent

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// dotnet is the task DotNetCoreCLI@2.
type dotnet struct {
	*task
	in inputs
}

func (d dotnet) do() error {
	if _, err := d.look("dotnet"); err != nil {
		return fmt.Errorf("%w: put UseDotNet@2 before this step", err)
	}
	switch command := strings.ToLower(d.in.text("command")); command {
	case "", "build":
		return d.each("build")
	case "publish":
		return d.publish()
	case "run":
		return d.each("run")
	case "custom":
		return d.each(d.in.text("custom"))
	case "test":
		return d.test()
	case "restore":
		return d.restore()
	case "pack":
		return d.pack()
	default:
		return fmt.Errorf("the command %q of DotNetCoreCLI@2 is not one that Slipway runs: use custom, with it as custom", d.in.text("command"))
	}
}

// doOld is DotNetCoreCLI@0 and @1, whose command may be any of dotnet's, and for which it is no mistake that there is no project.
func (d dotnet) doOld() error {
	if _, err := d.look("dotnet"); err != nil {
		return fmt.Errorf("%w: put UseDotNet@2 before this step", err)
	}
	command := cmp.Or(d.in.text("command"), "build")
	find := func() ([]string, error) { return d.projects("projects") }
	if command == "publish" {
		find = d.publishedProjects
	}
	if _, err := find(); err != nil {
		d.warn(sentence(err))
		return nil
	}
	if command == "publish" {
		return d.publish()
	}
	return d.each(command)
}

// projects are the files that the input's patterns choose. Without patterns it is one empty name: the working directory.
func (d dotnet) projects(input string) ([]string, error) {
	list := newPatterns(d.in.m[strings.ToLower(input)])
	if input == "searchPatternPack" {
		list = list.expanded()
	}
	if len(list) == 0 {
		return []string{""}, nil
	}
	found, err := find(d.folders.sources, list)
	if err != nil {
		return nil, fmt.Errorf("look for projects: %w", err)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no project matches %s below %s", strings.Join(list, ", "), d.folders.sources)
	}
	return found, nil
}

// forProjects runs a command for each project. One that fails does not keep the others from being built.
func (d dotnet) forProjects(projects []string, command string, arguments func(project string) ([]string, error), after func(project string) error) error {
	dir, err := d.workingFolder(d.in.text("workingDirectory"))
	if err != nil {
		return err
	}
	var failed []string
	var first error
	for _, project := range projects {
		args, err := arguments(project)
		if err == nil {
			p := process{name: "dotnet", args: append([]string{command}, args...), dir: dir}
			if command == "build" || command == "publish" {
				err = d.runDiagnosed(p, msbuildMessage())
			} else {
				err = d.runShown(p)
			}
		}
		if err == nil && after != nil {
			err = after(project)
		}
		if d.ctx.Err() != nil {
			return err
		}
		if err != nil {
			d.log.Printf("##[error]%s", sentence(err))
			failed, first = append(failed, cmp.Or(project, dir)), cmp.Or(first, err)
		}
	}
	if len(projects) == 1 && first != nil {
		return first
	}
	if len(failed) > 0 {
		return fmt.Errorf("dotnet %s failed for %s", command, strings.Join(failed, ", "))
	}
	return nil
}

// named is a project among the arguments of dotnet, nothing without one.
func named(project string, flags ...string) []string {
	if project == "" {
		return nil
	}
	return append(flags, project)
}

func (d dotnet) each(command string) error {
	if command == "" {
		return errors.New("the input custom is empty: give the command of dotnet, as tool")
	}
	projects, err := d.projects("projects")
	if err != nil {
		return err
	}
	words := splitArguments(d.in.text("arguments"))
	return d.forProjects(projects, command, func(project string) ([]string, error) {
		if command == "run" {
			return append(named(project, "--project"), words...), nil
		}
		return append(named(project), words...), nil
	}, nil)
}

// test runs tests, with their results as TRX files, which are published whatever the tests came to.
func (d dotnet) test() error {
	words := splitArguments(d.in.text("arguments"))
	publish := d.in.flag("publishTestResults", true)
	if publish {
		logger := []string{"--logger", "trx"}
		if d.testingPlatform() {
			logger = []string{"--report-trx"}
		}
		words = append(append(logger, "--results-directory", d.folders.temp), words...)
		old, err := find(d.folders.temp, patterns{"**/*.trx"})
		for _, path := range old {
			err = errors.Join(err, os.Remove(path))
		}
		if err != nil {
			return fmt.Errorf("remove old test results: %w", err)
		}
	}
	projects, err := d.projects("projects")
	if err != nil { // as in Azure, nothing to test is no failure
		d.warn(sentence(err))
		return nil
	}
	failed := d.forProjects(projects, "test", func(project string) ([]string, error) {
		if !d.testingPlatform() {
			return append(named(project), words...), nil
		}
		flag := "--project"
		if strings.HasPrefix(filepath.Ext(project), ".sln") {
			flag = "--solution"
		}
		return append(named(project, flag), words...), nil
	}, nil)
	if !publish || d.ctx.Err() != nil {
		return failed
	}
	err = d.publishTests("**/*.trx", d.folders.temp, map[string]string{"testresultsformat": "VSTest", "testruntitle": d.in.text("testRunTitle"),
		"buildplatform": d.vars.Text("BuildPlatform"), "buildconfiguration": d.vars.Text("BuildConfiguration")}) // as publishTestResults of DotNetCoreCLIV2 does
	return cmp.Or(failed, err)
}

var testingPlatform = regexp.MustCompile(`"runner"\s*:\s*"Microsoft\.Testing\.Platform"`)

// testingPlatform reports that the global.json nearest to the working directory chooses Microsoft.Testing.Platform.
func (d dotnet) testingPlatform() bool {
	folder := d.absolute(d.in.text("workingDirectory"))
	for {
		rel, err := filepath.Rel(d.folders.workspace, folder)
		if err != nil || strings.HasPrefix(rel, "..") {
			return false
		}
		if text, err := readSmall(filepath.Join(folder, "global.json")); err == nil {
			return testingPlatform.MatchString(withoutComments(text))
		}
		folder = filepath.Dir(folder)
	}
}

// sources are the arguments that say where packages come from.
func (d dotnet) sources() ([]string, error) {
	if !strings.EqualFold(d.in.text("selectOrConfig"), "config") {
		if d.in.flag("includeNuGetOrg", true) {
			return nil, nil // nuget.org is the source without a file
		}
		return nil, errors.New("without includeNuGetOrg and a feed there is no source of packages: name sources in NuGet.config, with feedsToUse: config")
	}
	path := d.in.text("nugetConfigPath")
	if path == "" {
		return nil, nil
	}
	path = d.absolute(path)
	if !present(path) {
		return nil, fmt.Errorf("the file %s, which nugetConfigPath names, is not there", path)
	}
	return []string{"--configfile", path}, nil
}

func (d dotnet) restore() error {
	return d.restoreProjects("projects", d.in.text("restoreArguments"), nil)
}

// restoreProjects runs dotnet restore in the folder of each project.
func (d dotnet) restoreProjects(input, arguments string, more []string) error {
	projects, err := d.projects(input)
	if err != nil {
		return err
	}
	sources, err := d.sources()
	if err != nil {
		return err
	}
	words := splitArguments(arguments)
	for _, project := range projects {
		args := append([]string{"restore"}, named(project)...)
		if folder := d.in.text("packagesDirectory"); folder != "" {
			args = append(args, "--packages", d.absolute(folder))
		}
		args = append(args, sources...)
		if d.in.flag("noCache", false) {
			args = append(args, "--no-cache")
		}
		if verbosity := d.in.text("verbosityRestore"); verbosity != "" && verbosity != "-" {
			args = append(args, "--verbosity", verbosity)
		}
		dir := d.folders.sources
		if project != "" {
			dir = filepath.Dir(project)
		}
		if err := d.runShown(process{name: "dotnet", args: append(append(args, more...), words...), dir: dir}); err != nil {
			return err
		}
	}
	return nil
}

// nuget is the task NuGetCommand@2: packages are restored by dotnet, which has NuGet built in.
func (t *task) nuget(in inputs) error {
	if command := in.text("command"); command != "" && !strings.EqualFold(command, "restore") {
		return fmt.Errorf("the command %q of NuGetCommand@2 is not one that Slipway runs: use dotnet in a script step", command)
	}
	if _, err := t.look("dotnet"); err != nil {
		return fmt.Errorf("%w: put UseDotNet@2 before this step", err)
	}
	if in.m["solution"] = strings.ReplaceAll(in.m["solution"], ";", "\n"); strings.TrimSpace(in.m["solution"]) == "" {
		in.m["solution"] = "**/*.sln"
	}
	var more []string
	if in.flag("disableParallelProcessing", false) {
		more = append(more, "--disable-parallel")
	}
	d := dotnet{t, in}
	files, err := d.projects("solution")
	if err != nil {
		return err
	}
	for _, file := range files {
		if strings.EqualFold(filepath.Base(file), "packages.config") {
			return fmt.Errorf("dotnet does not restore %s: move the project to PackageReference", file)
		}
	}
	return d.restoreProjects("solution", "", more)
}
