package agent

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/variable"
)

// azureCLI is the tasks AzureCLI@1, @2 and @3: a script in whose environment `az` is signed in. The az of the job's image is used if it
// has one, signed in to Azure if the name is one of a service connection, and else Slipway's own, which works by the job's token.
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
	signOut, err := a.signIn(p.env)
	defer signOut()
	if err != nil {
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

// signIn has az work for the step, and gives the script that identity if it asks for it.
func (a azureCLI) signIn(env map[string]string) (signOut func(), err error) {
	signOut = func() {}
	if _, err := a.look("az"); err != nil {
		return signOut, fmt.Errorf("%w: a job of a server has one of its own, and `slipway run` takes that of your machine: install the Azure CLI", err)
	}
	version := &limited{max: 64 << 10}
	if err := a.run(process{name: "az", args: []string{"--version"}, env: env, stdout: version, stderr: io.Discard}); err != nil {
		return signOut, fmt.Errorf("ask az for its version: %w", err)
	}
	connection := cmp.Or(a.in.text("connectedServiceNameARM"), a.in.text("azureDevOpsServiceConnection"))
	devOps := strings.EqualFold(a.in.text("connectionType"), "azureDevOps")
	if devOps {
		env["AZURE_DEVOPS_EXT_PAT"] = a.config.Token
	}
	own := strings.Contains(version.String(), "Slipway")
	if !own && !devOps {
		c, ok, err := a.foreign(connection)
		if err != nil {
			return signOut, err
		}
		if ok {
			return a.logIn(&c, env)
		}
	}
	switch {
	case !a.in.flag("visibleAzLogin", true):
	case own:
		a.log.Printf("The connection %s is not an account of Azure here: Slipway's az works on this server by the job's own token.", connection)
	default:
		a.log.Printf("The connection %s is not an account of Azure here: the image's own az is used, which the script signs in.", connection)
	}
	return signOut, a.jobIdentity(env)
}

// jobIdentity gives the script the job's own identity in place of one at Azure, if it asks for that.
func (a azureCLI) jobIdentity(env map[string]string) error {
	if !a.in.flag("addSpnToEnvironment", false) {
		return nil
	}
	a.log.Printf("##[warning]servicePrincipalId and servicePrincipalKey are the job's own user and token, which this server's registry and REST API take: they are worth nothing at Azure.")
	env["servicePrincipalId"], env["servicePrincipalKey"] = "job", a.config.Token
	token, err := a.identityToken("")
	if err != nil {
		return err
	}
	if token != "" { // as for a connection with workload identity federation
		env["idToken"] = token
	}
	env["tenantId"] = cmp.Or(a.vars.Text(variable.SystemTeamProjectID), "00000000-0000-0000-0000-000000000000")
	return nil
}

// logIn signs the image's az in to Azure as a service connection says. What it signs in with lies in a file, which az reads for an
// argument that begins with @: arguments are seen by others on the machine.
func (a azureCLI) logIn(c *job.Connection, env map[string]string) (logOut func(), err error) {
	logOut = func() {}
	account, err := a.azureAccount(c)
	if err != nil {
		return logOut, err
	}
	folder, remove, err := a.privateFolder("azurecli-")
	if err != nil {
		return logOut, err
	}
	defer remove()
	secret := filepath.Join(folder, "secret")
	if err := os.WriteFile(secret, []byte(cmp.Or(account.Key, account.Token)), 0o600); err != nil {
		return logOut, fmt.Errorf("write what az signs in with: %w", err)
	}
	flag := "--password"
	if account.Token != "" {
		flag = "--federated-token"
	}
	login := []string{"login", "--service-principal", "--username", account.Application, flag, "@" + secret, "--tenant", account.Tenant, "--allow-no-subscriptions"}
	if !a.in.flag("visibleAzLogin", true) {
		login = append(login, "--output", "none")
	}
	commands := [][]string{{"cloud", "set", "--name", account.Environment}, login}
	if account.Subscription != "" {
		commands = append(commands, []string{"account", "set", "--subscription", account.Subscription})
	}
	if a.in.flag("useGlobalConfig", false) { // otherwise the session goes with the step's own configuration
		logOut = func() { a.logOut(env) }
	}
	for _, args := range commands {
		if err := a.runShown(process{name: "az", args: args, env: env}); err != nil {
			return logOut, fmt.Errorf("sign in to Azure by service connection %q: az %s: %w", c.Name, args[0], err)
		}
	}
	maps.Copy(env, account.variables(c.ID))
	if a.in.flag("addSpnToEnvironment", false) {
		env["servicePrincipalId"], env["tenantId"] = account.Application, account.Tenant
		if account.Token != "" {
			env["idToken"] = account.Token
		} else {
			env["servicePrincipalKey"] = account.Key
		}
	}
	return logOut, nil
}

// logOut ends the session of az. It changes nothing in what became of the step.
func (a azureCLI) logOut(env map[string]string) {
	if a.ctx.Err() != nil {
		return
	}
	if err := a.runShown(process{name: "az", args: []string{"account", "clear"}, env: env}); err != nil {
		a.warn("az is perhaps still signed in to Azure: " + err.Error())
	}
}

// identityToken is the job's identity token, for the service connection of that id if one is given. Only a server issues one: it is ""
// without.
func (t *task) identityToken(connection string) (string, error) {
	address := t.vars.Text(variable.SystemOIDCRequestURI)
	if address == "" {
		return "", nil
	}
	query := "?api-version=7.1"
	if connection != "" {
		query += "&serviceConnectionId=" + url.QueryEscape(connection)
	}
	var answer struct {
		Token string `json:"oidcToken"`
	}
	err := t.client.again(t.ctx, func() error { return t.client.at(address).call(t.ctx, "POST", query, nil, &answer) })
	if err != nil {
		return "", fmt.Errorf("ask for the job's identity token: %w", err)
	}
	t.mask.Add(answer.Token)
	return answer.Token, nil
}
