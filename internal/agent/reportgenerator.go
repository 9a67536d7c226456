package agent

import (
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// reportGenerator is the task reportgenerator@4 and @5 of Palmmedia's extension: it makes pages and other reports of reports of code
// coverage. The extension brings the program reportgenerator with it; here it is the image's, or is installed for the job.
type reportGenerator struct {
	*task
	in    inputs
	major int
}

// reportGeneratorArguments are the program's, by the inputs of the same names, in the extension's order.
var reportGeneratorArguments = []string{"reports", "targetdir", "reporttypes", "sourcedirs", "historydir", "plugins", "assemblyfilters", "classfilters", "filefilters",
	"riskhotspotassemblyfilters", "riskhotspotclassfilters", "verbosity", "title", "tag", "license"}

// htmlReportTypes are those that are published as pages; the first one that is asked for is.
var htmlReportTypes = []string{"HtmlInline_AzurePipelines", "HtmlInline_AzurePipelines_Light", "HtmlInline_AzurePipelines_Dark", "Html", "Html_Light", "Html_Dark", "Html_BlueRed",
	"HtmlInline", "HtmlSummary", "Html_BlueRed_Summary", "HtmlChart"}

func (r reportGenerator) do() error {
	pages := ""
	publish := r.in.flag("publishCodeCoverageResults", false)
	if publish {
		var err error
		if pages, err = r.pages(); err != nil {
			return err
		}
	}
	program, err := r.program()
	if err != nil {
		return err
	}
	var args []string
	for _, name := range reportGeneratorArguments {
		if r.major >= 5 || !slices.Contains([]string{"riskhotspotassemblyfilters", "riskhotspotclassfilters", "license"}, name) {
			args = append(args, "-"+name+":"+r.in.text(name))
		}
	}
	for _, setting := range r.settings() {
		args = append(args, strings.TrimSpace(setting))
	}
	if err := r.runShown(process{name: program, args: args, env: rollForward}); err != nil || !publish {
		return err
	}
	folder, report := r.absolute(r.in.text("targetdir")), ""
	if strings.Contains(strings.ToLower(r.in.text("customSettings")), "createsubdirectoryforallreporttypes=true") {
		report, pages = filepath.Join(folder, "Cobertura", "Cobertura.xml"), filepath.Join(folder, pages)
	} else {
		report, pages = filepath.Join(folder, "Cobertura.xml"), folder
	}
	return r.publishCoverage1(inputs{r.task, map[string]string{"codecoveragetool": "Cobertura", "summaryfilelocation": report, "reportdirectory": pages}})
}

// rollForward lets a program for an older .NET run on a newer one.
var rollForward = map[string]string{"DOTNET_ROLL_FORWARD": "Major"}

// settings are the custom ones; version 4 parts them by semicolons alone.
func (r reportGenerator) settings() []string {
	separators := ",;"
	if r.major < 5 {
		separators = ";"
	}
	return strings.FieldsFunc(r.in.text("customSettings"), func(c rune) bool { return strings.ContainsRune(separators, c) })
}

// pages is the type of report whose pages are published.
func (r reportGenerator) pages() (string, error) {
	types := strings.FieldsFunc(strings.ToLower(r.in.text("reporttypes")), func(c rune) bool { return c == ',' || c == ';' })
	if !slices.Contains(types, "cobertura") {
		return "", errors.New("publishCodeCoverageResults needs the type Cobertura among reporttypes: add it")
	}
	for _, one := range htmlReportTypes {
		if slices.Contains(types, strings.ToLower(one)) {
			return one, nil
		}
	}
	return "", errors.New("publishCodeCoverageResults needs a type of HTML among reporttypes: add HtmlInline_AzurePipelines")
}

// program is reportgenerator: that of the image, or of a step before, or one that is installed for the job.
func (r reportGenerator) program() (string, error) {
	if path, err := r.look("reportgenerator"); err == nil {
		return path, nil
	}
	folder := filepath.Join(r.folders.tools, "reportgenerator", fmt.Sprint(r.major))
	path := filepath.Join(folder, "reportgenerator")
	if r.isFile(path) {
		return path, nil
	}
	if _, err := r.look("dotnet"); err != nil {
		return "", fmt.Errorf("there is no reportgenerator in the job's image, and no dotnet to install it with: put UseDotNet@2 before this step")
	}
	args := []string{"tool", "install", "dotnet-reportgenerator-globaltool", "--tool-path", folder, "--version", fmt.Sprintf("%d.*", r.major)}
	if mirror := r.mirror("nuget"); mirror != "" {
		file, err := r.nugetSource(mirror)
		if err != nil {
			return "", err
		}
		defer os.Remove(file)
		args = append(args, "--configfile", file)
	}
	if err := r.runShown(process{name: "dotnet", args: args, dir: r.folders.temp}); err != nil {
		return "", fmt.Errorf("install reportgenerator: %w: use a job image that has it, or name a source of NuGet packages in the variable SLIPWAY_TOOL_MIRROR_NUGET", err)
	}
	return path, nil
}

// nugetSource is a file by which dotnet takes packages from one source alone. The caller removes it.
func (t *task) nugetSource(address string) (string, error) {
	var escaped strings.Builder
	if err := xml.EscapeText(&escaped, []byte(address)); err != nil {
		return "", fmt.Errorf("write the source of NuGet packages: %w", err)
	}
	return t.scriptFile(".config", `<configuration><packageSources><clear /><add key="mirror" value="`+escaped.String()+`" allowInsecureConnections="true" /></packageSources></configuration>`)
}
