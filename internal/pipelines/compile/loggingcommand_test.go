package compile

import (
	"strings"
	"testing"

	"slipway/internal/pipelines/schema"
)

// The commands and their properties are those of "Logging commands" of Azure Pipelines' documentation.
func TestUnknownLoggingCommands(t *testing.T) {
	t.Parallel()
	f := func(line, want string) {
		t.Helper()
		if want != "" {
			want = "p.yml:5:" + want
		}
		warned(t, line, "pool: {vmImage: ubuntu-latest}\nsteps:\n- name: s\n  bash: |\n    "+line+"\n", want)
	}
	f(`echo "##vso[task.setvariabel variable=a]b"`, `17: task.setvariabel is no logging command, so the line is only shown, did you mean "task.setvariable"?`)
	f(`echo "##vso[setvariable variable=a]b"`, `17: setvariable is no logging command, so the line is only shown, did you mean "task.setvariable"?`)
	f(`echo "##vso[build.setvariable variable=a]b"`, `17: build.setvariable is no logging command, so the line is only shown, did you mean "task.setvariable"?`)
	f(`echo "##vso[weather.forecast]b"`, `17: weather.forecast is no logging command, so the line is only shown`)
	f(`echo "##[task.logissue type=error]b"`, `11: ##[task.logissue] is no logging command, so the line is only shown: write ##vso[task.logissue]`)
	f(`echo "#vso[task.complete result=Failed]"`, `11: #vso[task.complete] is no logging command, so the line is only shown: write ##vso[task.complete]`)
	f(`echo "##vso [task.complete result=Failed]"`, `11: ##vso [task.complete] is no logging command, so the line is only shown: write ##vso[task.complete]`)
	f(`echo "##[eror]b"`, `14: ##[eror] marks no line of a log, did you mean "##[error]"?`)
	f(`echo "##vso[task.setvariable variable=a;isOuput=true]b"`, `45: task.setvariable reads no isouput, did you mean "isoutput"?`)
	f(`echo "##vso[task.setvariable variabel=a;isSecret=true]b"`, `34: task.setvariable reads no variabel, did you mean "variable"?`)
	f(`echo "##vso[task.setvariable variable=a isSecret=true]b"`, `34: task.setvariable takes "a isSecret=true" for the value of variable: write ; before issecret`)
	for _, right := range []string{
		`echo "##vso[task.setvariable variable=a;isOutput=true;isSecret=false;isReadOnly=true;]b"`, `echo "##vso[Task.SetVariable Variable=a]b"`,
		`echo "##vso[task.logissue type=warning;sourcepath=a b.cs;linenumber=1;columnnumber=1;code=100;]Found something"`,
		`echo "##vso[task.$command]b"`, `echo "##vso[$(area).upload]b"`, `grep '##vso\[task.setvariabel' log`, `# echo "##vso[task.setvariabel]"`,
		`echo "##[info]b"`, `echo "##[Group]b"`, `echo "[errors]"`, `echo "## [warnings]"`, `echo "##vso[task.logissue type=$level;sourcepath=$file;$more]b"`,
		`echo "##vso[task.setvariable variable=a]isSecret=true"`, `echo "###vso[task.complete]"`,
	} {
		f(right, "")
	}
	for _, known := range schema.LoggingCommands() {
		f(`echo "##vso[`+known.Name+` `+strings.Join(known.Properties, "=x;")+`=x]b"`, "")
	}
	for _, word := range schema.FormattingCommands {
		f(`echo "##[`+word+`]b"`, "")
	}
}

func TestMacrosWithoutAnEnd(t *testing.T) {
	t.Parallel()
	warned(t, "where no shell reads", `
variables:
  mine: x
  base: $(Build.SourcesDirectory/src
  wide: $(mine
  computed: $(date -u
steps:
- task: CopyFiles@2
  displayName: copy $(Build.BuildId
  inputs:
    SourceFolder: $(Build.SourcesDirectory
    Contents: $(mine/**
    TargetFolder: $(unknown
- script: x
  env: {A: "$(mine $(mine)"}
  condition: and(succeeded(), eq(variables['a'], 'b'))
`, `
p.yml:3:9: $(Build.SourcesDirectory has no ) behind the name, so it stays as it is written: write $(Build.SourcesDirectory)
p.yml:4:9: $(mine has no ) behind the name, so it stays as it is written: write $(mine)
p.yml:8:21: $(Build.BuildId has no ) behind the name, so it stays as it is written: write $(Build.BuildId)
p.yml:10:19: $(Build.SourcesDirectory has no ) behind the name, so it stays as it is written: write $(Build.SourcesDirectory)
p.yml:11:15: $(mine has no ) behind the name, so it stays as it is written: write $(mine)
p.yml:12:19: $(unknown has no ) behind the name, so it stays as it is written: write $(unknown)
p.yml:14:13: $(mine has no ) behind the name, so it stays as it is written: write $(mine)
`)
	// A shell takes $( for a command, over several lines, too; a predefined variable is none.
	warned(t, "in a shell", `
variables: {ls: x}
steps:
- bash: |
    files=$(ls
      | sort)
    echo $(cat <<X
    X
    )
    cd $(Build.SourcesDirectory/src
- task: AzureCLI@2
  inputs:
    azureSubscription: a
    scriptType: bash
    scriptLocation: inlineScript
    inlineScript: echo $(ls
      -l)
    arguments: $(ls
`, `p.yml:9:8: $(Build.SourcesDirectory has no ) behind the name, so it stays as it is written: write $(Build.SourcesDirectory)`)
}
