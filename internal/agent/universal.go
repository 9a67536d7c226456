package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// universal is the tasks UniversalPackages@0 and @1: Slipway's own az publishes to this server's registry and downloads from it.
type universal struct {
	*task
	in    inputs
	major int
}

func (u universal) do() error {
	az, err := u.az()
	if err != nil {
		return err
	}
	if strings.EqualFold(u.in.text("command"), "publish") {
		return u.publish(az)
	}
	_, err = u.call(az, "download", "--feed", u.of("feedListDownload", "feed"), "--name", u.of("packageListDownload", "packageName"),
		"--version", u.of("versionListDownload", "packageVersion"), "--path", u.absolute(u.of("downloadDirectory", "directory")))
	return err
}

// of is an input, which each version of the task calls by another name.
func (u universal) of(old, name string) string {
	if u.major == 0 {
		name = old
	}
	return u.in.text(name)
}

func (u universal) publish(az string) error {
	name, version := u.of("packageListPublish", "packageName"), u.of("versionPublish", "packageVersion")
	step := strings.ToLower(u.of("versionPublishSelector", "versionIncrement"))
	if u.major == 0 && step == "custom" {
		step = ""
	} else if u.major == 0 {
		version = ""
	}
	if (version == "") == (step == "") {
		return errors.New("the input packageVersion or versionIncrement is needed, and not both")
	}
	args := []string{"publish", "--feed", u.of("feedListPublish", "feed"), "--name", name, "--path", u.absolute(u.of("publishDirectory", "directory"))}
	if step != "" {
		args = append(args, "--increment", step)
	} else {
		args = append(args, "--version", version)
	}
	if d := u.of("packagePublishDescription", "packageDescription"); d != "" {
		args = append(args, "--description="+d)
	}
	published, err := u.call(az, args...)
	if err != nil {
		return err
	}
	if u.major == 0 {
		if variable := u.in.text("publishedPackageVar"); variable != "" {
			u.setOutput(variable, name+" "+published)
		}
		return nil
	}
	if u.step.Name != "" { // outputs alone: the pipeline may have variables of these names
		u.tell(u.setVariable(commandOf("packageName", name, true)))
		u.tell(u.setVariable(commandOf("packageVersion", published, true)))
	}
	return nil
}

// call runs az and gives the package's version.
func (u universal) call(az string, args ...string) (version string, err error) {
	args = append([]string{"artifacts", "universal"}, args...)
	u.log.Printf("##[command]az %s", strings.Join(args, " "))
	out := &limited{max: 64 << 10}
	if err := u.run(process{name: az, args: append(args, "--output", "json"), stdout: out, stderr: u.log}); err != nil {
		return "", err
	}
	var answer struct{ Version string }
	if err := json.Unmarshal(out.Bytes(), &answer); err != nil {
		return "", fmt.Errorf("read what az printed: %w", err)
	}
	return answer.Version, nil
}

// az is Slipway's own, beside the agent or on PATH; the image may have another one, which does not know this server.
func (u universal) az() (string, error) {
	programs := ""
	if u.target != nil {
		programs = u.target.programs
	} else if own, err := os.Executable(); err == nil {
		programs = filepath.Dir(own)
	}
	if path, ok := u.find("az", []string{programs}); ok {
		return path, nil
	}
	if path, err := u.look("az"); err == nil {
		version := &limited{max: 64 << 10}
		if err := u.run(process{name: path, args: []string{"--version"}, stdout: version, stderr: io.Discard}); err == nil && strings.Contains(version.String(), "Slipway") {
			return path, nil
		}
	}
	return "", errors.New("packages are kept by Slipway's own az, which a server's jobs in pods have and this one has not: run the job in a pool of pods, or use PublishPipelineArtifact@1 and DownloadPipelineArtifact@2")
}
