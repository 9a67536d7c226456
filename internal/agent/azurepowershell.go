package agent

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"slipway/internal/pipelines/variable"
)

// azurePowerShell is the tasks AzurePowerShell@2 to @5: a script in a PowerShell that is signed in to Azure as a service
// connection says, by the module Az of the job's image.
type azurePowerShell struct {
	*task
	in    inputs
	major int
}

//go:embed connectazure.ps1
var connectAzure string

// azureSession is what connectazure.ps1 reads.
type azureSession struct {
	azureAccount
	Version string `json:"version,omitempty"` // of the module Az; "" for the newest
	AzureRM bool   `json:"azureRM,omitempty"` // the names of the commands of Az's predecessor are wanted
	SignOut bool   `json:"signOut,omitempty"`
}

func (a azurePowerShell) do() error {
	if _, err := a.look("pwsh"); err != nil {
		return errors.New("there is no PowerShell (pwsh) in the job's image: give the job a container that has it and the module Az, such as mcr.microsoft.com/azure-powershell")
	}
	dir, err := a.workingDirectory(a.in.text("workingDirectory"))
	if err != nil {
		return err
	}
	script, err := a.script()
	if err != nil {
		return err
	}
	session, federated, err := a.session()
	if err != nil {
		return err
	}
	preference := cmp.Or(strings.ToLower(a.in.text("errorActionPreference")), "stop")
	failOnStderr := a.in.flag("FailOnStandardError", false)
	if a.major == 2 { // which goes on after an error, and fails in the end
		preference, failOnStderr = "continue", true
	}
	var text strings.Builder
	if strings.EqualFold(a.vars.Text(variable.SystemDebug), "true") {
		text.WriteString("$VerbosePreference = 'continue'\n")
	}
	fmt.Fprintf(&text, "$ErrorActionPreference = '%s'\n%s\n", preference, script)
	maps.Copy(a.env, federated)
	err = a.runAs(session, text.String(), dir, failOnStderr)
	if a.ctx.Err() == nil {
		a.signOut(dir)
	}
	return err
}

// script is the part of the script that is the user's.
func (a azurePowerShell) script() (string, error) {
	arguments := a.in.text("ScriptArguments")
	if strings.EqualFold(a.in.text("ScriptType"), "InlineScript") {
		if a.major == 2 && arguments != "" {
			return ". {\n" + a.in.m["inline"] + "\n} " + arguments, nil
		}
		return a.in.m["inline"], nil
	}
	if strings.ContainsAny(arguments, "\r\n") {
		return "", errors.New("the input ScriptArguments has several lines: write the arguments on one")
	}
	if a.in.flag("validateScriptSignature", false) {
		a.warn("PowerShell checks signatures of scripts on Windows alone: that of this script is not checked.")
	}
	command, err := a.powershellFile(a.in.text("ScriptPath"), arguments)
	if err == nil {
		a.log.Printf("##[command]%s", command)
	}
	return command, err
}

var azVersion = regexp.MustCompile(`^\d+\.\d+\.\d+$`)

// session is how the service connection signs in, with the variables that the script sees of it.
func (a azurePowerShell) session() (azureSession, map[string]string, error) {
	var s azureSession
	if strings.EqualFold(a.in.text("TargetAzurePs"), "OtherVersion") {
		version := a.in.text("CustomTargetAzurePs")
		if !azVersion.MatchString(version) {
			return s, nil, fmt.Errorf("the input CustomTargetAzurePs (preferredAzurePowerShellVersion) is a version of three numbers, as 12.1.0, not %q", version)
		}
		s.Version = version
	}
	if s.AzureRM = a.major < 4; s.AzureRM && s.Version != "" {
		a.log.Printf("AzurePowerShell@%d means version %s of AzureRM, which is for Windows alone: the newest Az of the image is used.", a.major, s.Version)
		s.Version = ""
	}
	c, err := a.connection(a.in.text("ConnectedServiceNameARM"))
	if err != nil {
		return s, nil, err
	}
	s.azureAccount, err = a.azureAccount(&c)
	return s, s.variables(c.ID), err
}

// runAs runs a script after what signs in, or out.
func (a azurePowerShell) runAs(s azureSession, script, dir string, failOnStderr bool) error {
	folder, remove, err := a.privateFolder("azurepowershell-")
	if err != nil {
		return err
	}
	defer remove()
	text, err := json.Marshal(s)
	file := filepath.Join(folder, "connection.json")
	if err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("write what PowerShell signs in with: %w", err)
	}
	return a.pwsh(".", "& {\n"+connectAzure+"} "+quotePowerShell(file)+"\n"+script, dir, failOnStderr)
}

// signOut takes what the user's script, or Az itself, has kept of the session out of the home folder. It changes nothing in what
// became of the step.
func (a azurePowerShell) signOut(dir string) {
	if err := a.runAs(azureSession{SignOut: true}, "", dir, false); err != nil {
		a.warn("PowerShell is perhaps still signed in to Azure: " + err.Error())
	}
}
