package agent

import (
	"fmt"
	"strings"

	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/variable"
)

// inputs are a task's inputs with macros expanded.
type inputs struct {
	t *task
	m map[string]string // by lower-case name
}

// text is an input, "" when it is absent.
func (i inputs) text(name string) string { return strings.TrimSpace(i.m[strings.ToLower(name)]) }

func (i inputs) flag(name string, byDefault bool) bool {
	return i.t.flag(i.m[strings.ToLower(name)], byDefault)
}

// list is an input of several values, one a line or parted by commas.
func (i inputs) list(name string) []string {
	var list []string
	for _, part := range strings.FieldsFunc(i.text(name), func(r rune) bool { return r == '\n' || r == ',' }) {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}

// lines are the lines of an input that are not empty.
func (i inputs) lines(name string) []string {
	var list []string
	for line := range strings.Lines(i.text(name)) {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, line)
		}
	}
	return list
}

// tasks are the tasks that the agent runs, by NAME@MAJOR in lower case. Those that are another spelling of a keyword have
// become that keyword's step already. The map is never changed.
var tasks = map[string]func(*task, inputs) error{
	"archivefiles@2":              (*task).archiveFiles,
	"cmdline@1":                   (*task).cmdLine,
	"copyfiles@1":                 (*task).copyFiles,
	"copyfiles@2":                 (*task).copyFiles,
	"deletefiles@1":               (*task).deleteFiles,
	"extractfiles@1":              (*task).extractFiles,
	"filetransform@1":             (*task).fileTransform1,
	"filetransform@2":             (*task).fileTransform2,
	"azurecli@1":                  func(t *task, in inputs) error { return azureCLI{t, in, 1}.do() },
	"azurecli@2":                  func(t *task, in inputs) error { return azureCLI{t, in, 2}.do() },
	"azurecli@3":                  func(t *task, in inputs) error { return azureCLI{t, in, 3}.do() },
	"azurekeyvault@1":             (*task).keyVault,
	"azurekeyvault@2":             (*task).keyVault,
	"azurepowershell@2":           func(t *task, in inputs) error { return azurePowerShell{t, in, 2}.do() },
	"azurepowershell@3":           func(t *task, in inputs) error { return azurePowerShell{t, in, 3}.do() },
	"azurepowershell@4":           func(t *task, in inputs) error { return azurePowerShell{t, in, 4}.do() },
	"azurepowershell@5":           func(t *task, in inputs) error { return azurePowerShell{t, in, 5}.do() },
	"docker@0":                    func(t *task, in inputs) error { return docker1{newDocker(t, in), 0}.do() },
	"docker@1":                    func(t *task, in inputs) error { return docker1{newDocker(t, in), 1}.do() },
	"docker@2":                    func(t *task, in inputs) error { return newDocker(t, in).do() },
	"dockercompose@0":             func(t *task, in inputs) error { return dockerCompose{docker1: docker1{newDocker(t, in), 0}}.do() },
	"dockercompose@1":             func(t *task, in inputs) error { return dockerCompose{docker1: docker1{newDocker(t, in), 1}}.do() },
	"helmdeploy@0":                func(t *task, in inputs) error { return helm{t, in}.do() },
	"helmdeploy@1":                func(t *task, in inputs) error { return helm{t, in}.do() },
	"kubernetes@0":                func(t *task, in inputs) error { return kubernetes{t, in, 0}.do() },
	"kubernetes@1":                func(t *task, in inputs) error { return kubernetes{t, in, 1}.do() },
	"cache@2":                     (*task).restoreCache,
	"cachebeta@0":                 (*task).restoreCache,
	"cachebeta@1":                 (*task).restoreCache,
	"downloadsecurefile@1":        (*task).downloadSecureFile,
	"kubernetesmanifest@0":        (*task).kubernetesManifest,
	"kubernetesmanifest@1":        (*task).kubernetesManifest,
	"powershell@1":                (*task).powershell1,
	"powershell@2":                (*task).powershell,
	"publishtestresults@1":        (*task).publishTestResults,
	"publishtestresults@2":        (*task).publishTestResults,
	"ant@1":                       (*task).ant,
	"cmake@1":                     (*task).cmake,
	"dockerinstaller@0":           (*task).useDocker,
	"dotnetcorecli@2":             func(t *task, in inputs) error { return dotnet{t, in}.do() },
	"go@0":                        (*task).goCommand,
	"gotool@0":                    (*task).useGo,
	"gradle@2":                    (*task).gradle,
	"gradle@3":                    (*task).gradle,
	"gradle@4":                    (*task).gradle,
	"helminstaller@0":             (*task).useOldHelm,
	"helminstaller@1":             (*task).useHelm,
	"javatoolinstaller@0":         (*task).useJava,
	"javatoolinstaller@1":         (*task).useJava,
	"kubectlinstaller@0":          (*task).useKubectl,
	"maven@3":                     (*task).maven,
	"maven@4":                     (*task).maven,
	"nodetool@0":                  (*task).nodeTool,
	"npm@1":                       (*task).npm,
	"npmauthenticate@0":           (*task).npmAuthenticate,
	"mavenauthenticate@0":         (*task).mavenAuthenticate,
	"nugetauthenticate@0":         (*task).nugetAuthenticate,
	"nugetauthenticate@1":         (*task).nugetAuthenticate,
	"nugetcommand@2":              (*task).nuget,
	"nugettoolinstaller@0":        (*task).useNuGet,
	"nugettoolinstaller@1":        (*task).useNuGet,
	"pipauthenticate@0":           (*task).pipAuthenticate,
	"pipauthenticate@1":           (*task).pipAuthenticate,
	"terraforminstaller@0":        (*task).useTerraform,
	"terraforminstaller@1":        (*task).useTerraform,
	"terraformcli@0":              (*task).terraformCLI,
	"terraformcli@1":              (*task).terraformCLI,
	"terraformcli@2":              (*task).terraformCLI,
	"terraformtask@5":             (*task).terraform,
	"terraformtaskv1@0":           (*task).terraform,
	"terraformtaskv2@2":           (*task).terraform,
	"terraformtaskv3@3":           (*task).terraform,
	"terraformtaskv4@4":           (*task).terraform,
	"githubrelease@0":             (*task).githubRelease,
	"githubrelease@1":             (*task).githubRelease,
	"installsshkey@0":             (*task).installSSHKey,
	"msbuild@1":                   (*task).msbuild,
	"ssh@0":                       (*task).ssh,
	"copyfilesoverssh@0":          (*task).copyOverSSH,
	"twineauthenticate@0":         (*task).twineAuthenticate,
	"twineauthenticate@1":         (*task).twineAuthenticate,
	"universalpackages@0":         func(t *task, in inputs) error { return universal{t, in, 0}.do() },
	"universalpackages@1":         func(t *task, in inputs) error { return universal{t, in, 1}.do() },
	"usedotnet@2":                 (*task).useDotNet,
	"usenode@1":                   (*task).useNode,
	"usepythonversion@0":          (*task).usePython,
	"pythonscript@0":              (*task).pythonScript,
	"replacetokens@3":             replaceTokens(3),
	"replacetokens@4":             replaceTokens(4),
	"replacetokens@5":             replaceTokens(5),
	"replacetokens@6":             replaceTokens(6),
	"shellscript@2":               (*task).shellScript,
	"copypublishbuildartifacts@1": (*task).copyPublish,
	"curluploader@2":              (*task).curlUploader,
	"decryptfile@1":               (*task).decryptFile,
	"dotnetcorecli@0":             func(t *task, in inputs) error { return dotnet{t, in}.doOld() },
	"dotnetcorecli@1":             func(t *task, in inputs) error { return dotnet{t, in}.doOld() },
	"dotnetcoreinstaller@0":       (*task).useDotNet,
	"dotnetcoreinstaller@1":       (*task).useDotNet,
	"downloadgithubrelease@0":     (*task).downloadGitHubRelease,
	"grunt@0":                     func(t *task, in inputs) error { return taskRunner{t, in, "grunt", "gruntFile", "gruntCli", false}.do() },
	"gulp@0":                      func(t *task, in inputs) error { return taskRunner{t, in, "gulp", "gulpFile", "gulpjs", false}.do() },
	"gulp@1":                      func(t *task, in inputs) error { return taskRunner{t, in, "gulp", "gulpFile", "gulpjs", true}.do() },
	"kubelogininstaller@0":        (*task).useKubelogin,
	"openpolicyagentinstaller@0":  (*task).useOPA,
	"tfxinstaller@3":              (*task).useTfx,
	"tfxinstaller@4":              (*task).useTfx,
	"tfxinstaller@5":              (*task).useTfx,
	"userubyversion@0":            (*task).useRuby,
	"reportgenerator@4":           func(t *task, in inputs) error { return reportGenerator{t, in, 4}.do() },
	"reportgenerator@5":           func(t *task, in inputs) error { return reportGenerator{t, in, 5}.do() },

	"nodetaskrunnerinstaller@0":    (*task).useTaskRunner,
	"publishcodecoverageresults@1": (*task).publishCoverage1,
	"publishcodecoverageresults@2": (*task).publishCoverage,
}

// task runs a task.
func (t *task) task(p *plan.Task) error {
	if p.Package != nil {
		return t.uploadedTask(p, partExecution)
	}
	run, ok := tasks[strings.ToLower(fmt.Sprintf("%s@%d", p.Name, p.Major))]
	if !ok {
		return fmt.Errorf("this agent cannot run the task %s@%d: use the agent image of the server's release", p.Name, p.Major)
	}
	in := inputs{t, map[string]string{}}
	for name, text := range p.Inputs {
		in.m[strings.ToLower(name)] = t.input(text)
	}
	return run(t, in)
}

// input expands the macros of a task's input. What is no variable may be one of the environment, as in Azure: $(HOME).
func (t *task) input(text string) string {
	text = t.text(text)
	if !strings.Contains(text, "$(") {
		return text
	}
	var environment variable.Set
	for _, pair := range t.environment(nil) {
		if name, value, _ := strings.Cut(pair, "="); !strings.HasPrefix(name, "SLIPWAY_") && strings.Contains(text, "$("+name+")") {
			environment.PutText(name, value)
		}
	}
	return environment.Expand(text)
}
