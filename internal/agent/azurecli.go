package agent

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"slipway/internal/pipelines/variable"
)

// azureCLI is the tasks AzureCLI@1, @2 and @3: a script in whose environment `az` is signed in. There is no Azure here: the
// az of the job's image is used if it has one, and else Slipway's own, which works by the job's token.
type azureCLI struct {
	*task
	in    inputs
	major int
}

func (a azureCLI) do() error {
	script, err := a.file()
	if err != nil {
		return err
	}
	if a.inline() {
		defer os.Remove(script)
	}
	dir, err := a.folder(script)
	if err != nil {
		return err
	}
	p, remove, err := a.process(script)
	defer remove()
	if err != nil {
		return err
	}
	p.dir, p.env = dir, map[string]string{}
	if !a.in.flag("useGlobalConfig", false) {
		config, err := os.MkdirTemp(a.folders.temp, "azclitask-")
		if err != nil {
			return fmt.Errorf("make a folder for the Azure CLI's configuration: %w", err)
		}
		defer os.RemoveAll(config)
		p.env["AZURE_CONFIG_DIR"] = config
	}
	if err := a.signIn(p.env); err != nil {
		return err
	}
	a.log.Printf("##[command]%s %s", p.name, strings.Join(p.args, " "))
	return a.runScript(p, a.in.flag("failOnStandardError", false))
}

func (a azureCLI) inline() bool {
	return strings.EqualFold(a.in.text("scriptLocation"), "inlineScript")
}

func (a azureCLI) scriptType() string {
	if a.major == 1 {
		return "bash"
	}
	return strings.ToLower(a.in.text("scriptType"))
}

// file is the script's file: the one that is named, or one for the text.
func (a azureCLI) file() (string, error) {
	suffix := ".sh"
	switch a.scriptType() {
	case "bash":
	case "ps", "pscore":
		suffix = ".ps1"
	default:
		return "", fmt.Errorf("the script type %q of AzureCLI@%d cannot run on Linux: use bash or pscore", a.in.text("scriptType"), a.major)
	}
	if a.inline() {
		return a.write("azureclitaskscript-*"+suffix, a.in.m["inlinescript"])
	}
	path := a.absolute(a.in.text("scriptPath"))
	info, err := os.Stat(path)
	if err != nil || info.IsDir() {
		return "", fmt.Errorf("the script file %s does not exist: name one by scriptPath, or write scriptLocation: inlineScript", path)
	}
	if a.major > 1 && !strings.EqualFold(filepath.Ext(path), suffix) {
		return "", fmt.Errorf("the script file %s of script type %s must be named *%s", path, a.scriptType(), suffix)
	}
	return path, nil
}

func (a azureCLI) write(pattern, text string) (string, error) {
	file, err := os.CreateTemp(a.folders.temp, pattern)
	if err != nil {
		return "", fmt.Errorf("write the script: %w", err)
	}
	_, err = file.WriteString(strings.ReplaceAll(text, "\r\n", "\n"))
	if err = errors.Join(err, file.Close()); err != nil {
		return "", fmt.Errorf("write the script: %w", err)
	}
	return file.Name(), nil
}

// folder is where the script runs, which is made if it is not there; AzureCLI@1 runs a file in its own folder by default.
func (a azureCLI) folder(script string) (string, error) {
	dir := a.absolute(a.in.text("cwd"))
	if a.major == 1 && !a.inline() && dir == filepath.Clean(a.folders.sources) {
		dir = filepath.Dir(script)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make the working directory: %w", err)
	}
	return dir, nil
}

// process is the shell with the script; remove removes what was written for it.
func (a azureCLI) process(script string) (p process, remove func(), err error) {
	remove = func() {}
	arguments := cmp.Or(a.in.text("scriptArguments"), a.in.text("args"))
	if a.scriptType() == "bash" {
		words := splitArguments(arguments)
		p.name, err = a.look("bash")
		p.args = append([]string{script}, words...)
		return p, remove, err
	}
	if a.scriptType() == "ps" {
		a.log.Printf("##[warning]Windows PowerShell is not on Linux: the script runs in PowerShell (pwsh); write scriptType: pscore.")
	}
	if p.name, err = a.look("pwsh"); err != nil {
		return p, remove, fmt.Errorf("%w: name an image that has PowerShell by the job's container, or write scriptType: bash", err)
	}
	wrapper, err := a.write("azureclitaskscript-*.ps1", a.powerShell(script, arguments))
	p.args = []string{"-NoLogo", "-NoProfile", "-NonInteractive", "-Command", ". " + quotePowerShell(wrapper)}
	return p, func() { os.Remove(wrapper) }, err
}

// powerShell is the script that calls the user's: the preference for errors before it, and after it its last program's exit
// code. Arguments are PowerShell's, so they stand as they are.
func (a azureCLI) powerShell(script, arguments string) string {
	lines := []string{
		"$ErrorActionPreference = '" + cmp.Or(a.in.text("powerShellErrorActionPreference"), "stop") + "'",
		"$ErrorView = 'NormalView'",
		strings.TrimSpace(". " + quotePowerShell(script) + " " + arguments),
	}
	if !a.in.flag("powerShellIgnoreLASTEXITCODE", false) {
		lines = append(lines, `if (Test-Path -LiteralPath variable:\LASTEXITCODE) { exit $LASTEXITCODE }`)
	}
	return strings.Join(lines, "\n") + "\n"
}

// signIn says by whom az works, and gives the script that identity if it asks for it.
func (a azureCLI) signIn(env map[string]string) error {
	if _, err := a.look("az"); err != nil {
		return fmt.Errorf("%w: a job of a server has one of its own, and `slipway run` takes that of your machine: install the Azure CLI", err)
	}
	version := &limited{max: 64 << 10}
	if err := a.run(process{name: "az", args: []string{"--version"}, env: env, stdout: version, stderr: io.Discard}); err != nil {
		return fmt.Errorf("ask az for its version: %w", err)
	}
	connection := cmp.Or(a.in.text("connectedServiceNameARM"), a.in.text("azureDevOpsServiceConnection"))
	switch {
	case !a.in.flag("visibleAzLogin", true):
	case strings.Contains(version.String(), "Slipway"):
		a.log.Printf("The connection %s is not an account of Azure here: Slipway's az works on this server by the job's own token.", connection)
	default:
		a.log.Printf("The connection %s is not an account of Azure here: the image's own az is used, which the script signs in.", connection)
	}
	if strings.EqualFold(a.in.text("connectionType"), "azureDevOps") {
		env["AZURE_DEVOPS_EXT_PAT"] = a.config.Token
	}
	if !a.in.flag("addSpnToEnvironment", false) {
		return nil
	}
	a.log.Printf("##[warning]servicePrincipalId and servicePrincipalKey are the job's own user and token, which this server's registry and REST API take: they are worth nothing at Azure.")
	env["servicePrincipalId"], env["servicePrincipalKey"] = "job", a.config.Token
	if err := a.identityToken(env); err != nil {
		return err
	}
	env["tenantId"] = cmp.Or(a.vars.Text(variable.SystemTeamProjectID), "00000000-0000-0000-0000-000000000000")
	return nil
}

// identityToken gives the script the job's identity token as idToken, as the task does for a connection with workload identity federation.
// Only a server issues one.
func (a azureCLI) identityToken(env map[string]string) error {
	address := a.vars.Text(variable.SystemOIDCRequestURI)
	if address == "" {
		return nil
	}
	var answer struct {
		Token string `json:"oidcToken"`
	}
	err := a.client.again(a.ctx, func() error { return a.client.at(address).call(a.ctx, "POST", "?api-version=7.1", nil, &answer) })
	if err != nil {
		return fmt.Errorf("ask for the job's identity token: %w", err)
	}
	a.mask.Add(answer.Token)
	env["idToken"] = answer.Token
	return nil
}
