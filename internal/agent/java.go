package agent

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"slipway/internal/agent/tool"
	"slipway/internal/pipelines/variable"
)

// machineName is the processor as tasks call it.
func machineName() string {
	return cmp.Or(map[string]string{"amd64": "x64"}[runtime.GOARCH], runtime.GOARCH)
}

// useJava is the task JavaToolInstaller@0 and @1. A JDK that is not in the image is downloaded: hosted images of Azure have
// the usual ones, and files written for them say PreInstalled.
func (t *task) useJava(in inputs) error {
	machine := in.text("jdkArchitectureOption")
	if err := checkMachine(machine); err != nil {
		return err
	}
	version := in.text("versionSpec")
	var home string
	switch source := in.text("jdkSourceOption"); strings.ToLower(source) {
	case "preinstalled":
		want, err := tool.ParseJava(version)
		if err != nil {
			return fmt.Errorf("Java: %w", err) //nolint:staticcheck // a name
		}
		c, err := t.installer().Use(t.ctx, tool.Java, want, tool.Options{})
		if err != nil {
			return err
		}
		if home, err = t.javaHome(c); err != nil {
			return err
		}
	case "localdirectory":
		var err error
		if home, err = t.unpackJDK(in, "JAVA_HOME_"+version+"_"+machine); err != nil {
			return err
		}
	default:
		return fmt.Errorf("the source %q of JavaToolInstaller is not one that Slipway knows: use PreInstalled or LocalDirectory", source)
	}
	t.assign("JAVA_HOME", home)
	t.assign(strings.ToUpper("JAVA_HOME_"+version+"_"+machine), home)
	t.prepend(filepath.Join(home, "bin"))
	return nil
}

var javaHomeLine = regexp.MustCompile(`(?m)^\s*java\.home = (.+)$`)

// javaHome is the folder of a JDK. A program on PATH is asked for it.
func (t *task) javaHome(c tool.Candidate) (string, error) {
	if c.Folder != "" {
		return c.Folder, nil
	}
	text, err := t.outputOf(t.folders.temp, nil, c.Program, "-XshowSettings:properties", "-version")
	if err != nil {
		return "", fmt.Errorf("ask %s where it is installed: %w", c.Program, err)
	}
	m := javaHomeLine.FindStringSubmatch(text)
	if m == nil {
		return "", fmt.Errorf("%s does not say where it is installed", c.Program)
	}
	home := strings.TrimSpace(m[1])
	if filepath.Base(home) == "jre" { // Java 8 speaks of the part that runs programs
		home = filepath.Dir(home)
	}
	return home, nil
}

// unpackJDK unpacks the archive of a JDK and finds the folder in it that is JAVA_HOME.
func (t *task) unpackJDK(in inputs, name string) (string, error) {
	archive, folder := t.absolute(in.text("jdkFile")), t.absolute(in.text("jdkDestinationDirectory"))
	if info, err := os.Stat(archive); err != nil || info.IsDir() {
		return "", fmt.Errorf("the archive of the JDK, %s, is not there", archive)
	}
	lower, ending := strings.ToLower(archive), ""
	for _, one := range []string{".tar.gz", ".tgz", ".zip"} {
		if strings.HasSuffix(lower, one) {
			ending = one
		}
	}
	if ending == "" {
		return "", fmt.Errorf("the archive of the JDK, %s, is neither .tar.gz nor .zip: pack it as one of them", archive)
	}
	clean := in.flag("cleanDestinationDirectory", true)
	if clean {
		if err := removeContents(folder); err != nil {
			return "", err
		}
	}
	if in.flag("createExtractDirectory", true) {
		stripped := filepath.Base(archive)[:len(filepath.Base(archive))-len(ending)]
		folder = filepath.Join(folder, strings.ToUpper(name)+"_"+stripped+"_"+ending[1:])
	}
	if _, err := os.Stat(folder); !clean && err == nil {
		t.log.Printf("%s is there already and is used as it is.", folder)
	} else {
		t.log.Printf("Unpacking %s into %s", archive, folder)
		if err := tool.Unpack(t.ctx, archive, folder, 0); err != nil {
			return "", err
		}
	}
	return jdkIn(folder)
}

// jdkIn is the folder itself or the one in it that has bin/java.
func jdkIn(folder string) (string, error) {
	for _, pattern := range []string{"bin/java", "*/bin/java"} {
		if found, err := filepath.Glob(filepath.Join(folder, pattern)); err == nil && len(found) > 0 {
			return filepath.Dir(filepath.Dir(found[0])), nil
		}
	}
	return "", fmt.Errorf("%s holds no bin/java, and no folder with it: give the archive of a JDK", folder)
}

// chosenJava is the environment of a build tool with the JDK that its inputs choose; path is the name of the input with one.
func (t *task) chosenJava(in inputs, env map[string]string) error {
	home := ""
	if strings.EqualFold(in.text("javaHomeSelection"), "Path") {
		home = t.absolute(in.text("jdkUserInputPath"))
		if !t.isFolder(home) {
			return fmt.Errorf("the folder of the JDK, %s, is not there", home)
		}
	} else if version := in.text("jdkVersion"); version != "" && !strings.EqualFold(version, "default") {
		if err := checkMachine(in.text("jdkArchitecture")); err != nil {
			return err
		}
		// Variables come first, as hosted images and JavaToolInstaller set them: JAVA_HOME_17_X64.
		number := strings.TrimPrefix(version, "1.")
		if home = t.getenv(strings.ToUpper("JAVA_HOME_" + number + "_" + cmp.Or(in.text("jdkArchitecture"), "x64"))); home == "" {
			want, err := tool.ParseJava(version)
			if err != nil {
				return err
			}
			c, err := t.installer().Find(t.ctx, tool.Java, want)
			if err != nil {
				return fmt.Errorf("%w, or put JavaToolInstaller@0 before this step", err)
			}
			if home, err = t.javaHome(c); err != nil {
				return err
			}
		}
	}
	if home != "" {
		t.log.Printf("JAVA_HOME is %s", home)
		env["JAVA_HOME"] = home
	}
	return nil
}

// maven is the task Maven@3 and @4.
func (t *task) maven(in inputs) error {
	program := ""
	switch {
	case strings.EqualFold(in.text("mavenVersionSelection"), "Path"):
		folder := t.absolute(in.text("mavenPath"))
		program = filepath.Join(folder, "bin", "mvn")
		if in.flag("mavenSetM2Home", false) {
			t.assign("M2_HOME", folder)
		}
	case t.getenv("M2_HOME") != "":
		program = filepath.Join(t.getenv("M2_HOME"), "bin", "mvn")
	default:
		path, err := t.look("mvn")
		if err != nil {
			return fmt.Errorf("%w: use one that has Maven, or mavenVersionSelection: Path", err)
		}
		program = path
	}
	if !t.isFile(program) {
		return fmt.Errorf("there is no Maven at %s", program)
	}
	env := map[string]string{}
	if err := t.chosenJava(in, env); err != nil {
		return err
	}
	if home := env["JAVA_HOME"]; home != "" { // of the three tasks this one sets it for the steps that follow
		t.assign("JAVA_HOME", home)
	}
	if options := in.text("mavenOpts"); options != "" {
		env["MAVEN_OPTS"] = options
	}
	pom := t.absolute(cmp.Or(in.text("mavenPOMFile"), "pom.xml"))
	if _, err := os.Stat(pom); err != nil {
		return fmt.Errorf("the project file %s is not there", pom)
	}
	if err := t.runShown(process{name: program, args: []string{"-version"}, env: env}); err != nil {
		return fmt.Errorf("maven does not run: %w", err)
	}
	options := splitArguments(in.text("options"))
	args := append(append([]string{"-f", pom}, options...), strings.Fields(in.text("goals"))...)
	return t.tested(in, "**/surefire-reports/TEST-*.xml", t.runDiagnosed(process{name: program, args: args, env: env}, mavenMessage()))
}

// gradle is the task Gradle@2 to @4.
func (t *task) gradle(in inputs) error {
	wrapper := t.absolute(cmp.Or(in.text("wrapperScript"), "gradlew"))
	info, err := os.Stat(wrapper)
	if err != nil || info.IsDir() {
		return fmt.Errorf("the wrapper script %s is not there: put it into the repository (gradle wrapper), or run gradle in a script step", wrapper)
	}
	if info.Mode()&0o111 == 0 {
		t.log.Printf("%s is made executable.", wrapper)
		if err := os.Chmod(wrapper, info.Mode().Perm()|0o111); err != nil {
			return fmt.Errorf("make the wrapper script executable: %w", err)
		}
	}
	env := map[string]string{}
	if err := t.chosenJava(in, env); err != nil {
		return err
	}
	if options := in.text("gradleOpts"); options != "" {
		env["GRADLE_OPTS"] = options
	}
	// Build files take the job's token from these, by the names that getExecOptions in GradleV4 (Modules/environment.ts) sets.
	env["AZURE_ARTIFACTS_ENV_ACCESS_TOKEN"], env["VSTS_ENV_ACCESS_TOKEN"] = t.vars.Text(variable.SystemAccessToken), t.vars.Text(variable.SystemAccessToken)
	dir, err := t.workingFolder(in.text("cwd"))
	if err != nil {
		return err
	}
	options := splitArguments(in.text("options"))
	args := append(options, strings.Fields(in.text("tasks"))...)
	return t.tested(in, "**/TEST-*.xml", t.runShown(process{name: wrapper, args: args, dir: dir, env: env}))
}

// ant is the task Ant@1.
func (t *task) ant(in inputs) error {
	file := t.absolute(cmp.Or(in.text("antBuildFile"), "build.xml"))
	if _, err := os.Stat(file); err != nil {
		return fmt.Errorf("the build file %s is not there", file)
	}
	if _, err := t.look("ant"); err != nil {
		return err
	}
	env := map[string]string{}
	if err := t.chosenJava(in, env); err != nil {
		return err
	}
	if home := in.text("antHomeUserInputPath"); home != "" {
		env["ANT_HOME"] = t.absolute(home)
		if !t.isFolder(env["ANT_HOME"]) {
			return fmt.Errorf("the folder of ANT_HOME, %s, is not there", env["ANT_HOME"])
		}
	}
	options := splitArguments(in.text("options"))
	args := append(append([]string{"-buildfile", file}, options...), strings.Fields(in.text("targets"))...)
	return t.tested(in, "**/TEST-*.xml", t.runShown(process{name: "ant", args: args, env: env}))
}

// tested publishes the results of tests after a build, whatever the build came to.
func (t *task) tested(in inputs, files string, build error) error {
	if !in.flag("publishJUnitResults", true) || t.ctx.Err() != nil {
		return build
	}
	list := newPatterns(cmp.Or(in.text("testResultsFiles"), files))
	for i, pattern := range list {
		if strings.ContainsAny(pattern, "*?") { // as in the tasks, another is the path of a file
			list[i] = everywhere(pattern)
		}
	}
	err := t.publishTests(strings.Join(list, "\n"), t.folders.sources, map[string]string{"testresultsformat": "JUnit", "testruntitle": in.text("testRunTitle"), "mergetestresults": "true"})
	if build != nil && err != nil {
		t.log.Printf("##[error]%s", sentence(err))
	}
	return cmp.Or(build, err)
}

// publishTests publishes the results of tests as PublishTestResults@2 does. That none are found is no mistake of the build.
func (t *task) publishTests(files, folder string, given map[string]string) error {
	list := newPatterns(files).expanded()
	if found, err := find(folder, list); err == nil && len(found) == 0 {
		t.log.Printf("No file of test results matches %s below %s, so none are published.", files, folder)
		return nil
	}
	given["searchfolder"] = folder
	return t.publishResultsOf(inputs{t, given}, list)
}

// runShown shows a command and runs it.
func (t *task) runShown(p process) error {
	t.log.Printf("##[command]%s %s", p.name, strings.Join(p.args, " "))
	return t.run(p)
}

// workingFolder is the folder in which a program runs: the sources if none is given.
func (t *task) workingFolder(given string) (string, error) {
	dir := t.absolute(given)
	if !t.isFolder(dir) {
		return "", fmt.Errorf("the working directory %s does not exist", dir)
	}
	return dir, nil
}
