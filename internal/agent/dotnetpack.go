package agent

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"

	"slipway/internal/pipelines/variable"
)

func (d dotnet) pack() error {
	version, err := d.packageVersion()
	if err != nil {
		return err
	}
	output := d.in.text("outputDir")
	if output != "" {
		output = d.absolute(output)
		if err := os.MkdirAll(output, 0o755); err != nil {
			return fmt.Errorf("make the folder of packages: %w", err)
		}
	}
	var properties []string
	if configuration := d.in.text("configurationToPack"); configuration != "" && configuration != "$(BuildConfiguration)" {
		properties = append(properties, "Configuration="+configuration)
	}
	if text := d.in.text("buildProperties"); text != "" {
		properties = append(properties, strings.Split(text, ";")...)
	}
	d.in.m["searchpatternpack"] = strings.ReplaceAll(d.in.m["searchpatternpack"], ";", "\n")
	projects, err := d.projects("searchPatternPack")
	if err != nil {
		return err
	}
	for _, project := range projects {
		args := append([]string{"pack"}, named(project)...)
		if strings.HasSuffix(project, ".nuspec") {
			args[1] = "-p:NuspecFile=" + project
		}
		if output != "" {
			args = append(args, "--output", output)
		}
		for _, one := range [][2]string{{"nobuild", "--no-build"}, {"includesymbols", "--include-symbols"}, {"includesource", "--include-source"}} {
			if d.in.flag(one[0], false) {
				args = append(args, one[1])
			}
		}
		if len(properties) > 0 {
			args = append(args, "/p:"+strings.Join(properties, ";"))
		}
		if version != "" {
			args = append(args, "/p:PackageVersion="+version)
		}
		if verbosity := d.in.text("verbosityPack"); verbosity != "" && verbosity != "-" {
			args = append(args, "--verbosity", verbosity)
		}
		dir := d.folders.sources
		if project != "" {
			dir = filepath.Dir(project)
		}
		if err := d.runShown(process{name: "dotnet", args: args, dir: dir}); err != nil {
			return err
		}
	}
	return nil
}

var numberedVersion = regexp.MustCompile(`\d+\.\d+\.\d+(?:\.\d+)?`)

// packageVersion is the version of packages by the scheme that is chosen, "" for the project's own.
func (d dotnet) packageVersion() (string, error) {
	number := d.vars.Text(variable.BuildBuildNumber)
	switch scheme := strings.ToLower(d.in.text("versioningScheme")); scheme {
	case "", "off":
		return "", nil
	case "byprereleasenumber":
		return fmt.Sprintf("%s.%s.%s-CI-%s", d.in.text("requestedMajorVersion"), d.in.text("requestedMinorVersion"), d.in.text("requestedPatchVersion"),
			time.Now().UTC().Format("20060102-150405")), nil
	case "byenvvar":
		name := d.in.text("versionEnvVar")
		if version := cmp.Or(d.vars.Text(name), d.getenv(variable.EnvironmentName(name))); version != "" {
			return version, nil
		}
		return "", fmt.Errorf("the variable %q, which versionEnvVar names, has no value", name)
	case "bybuildnumber":
		if version := numberedVersion.FindString(number); version != "" {
			return version, nil
		}
		return "", fmt.Errorf("the run's number %q holds no version, as 1.2.3: give the pipeline a name with one", number)
	case "bysemverbuildnumber":
		if _, err := semver.StrictNewVersion(number); err != nil {
			return "", fmt.Errorf("the run's number %q is no semantic version, as 1.2.3-beta.4: give the pipeline a name that is one", number)
		}
		return number, nil
	default:
		return "", fmt.Errorf("the versioning scheme %q is not one that Slipway knows", d.in.text("versioningScheme"))
	}
}
