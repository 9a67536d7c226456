package task

import "slices"

// azureTasks run scripts that call az.
func azureTasks() []Definition {
	return []Definition{
		{Name: "AzureCLI", Major: 1, Title: "Azure CLI", Doc: "Runs a Bash script that calls az: the image's Azure CLI, or Slipway's own, which works on this server.", Inputs: slices.Concat(
			[]Input{subscriptionInput}, scriptInputs, []Input{{Name: "args", Aliases: []string{"arguments"}, Doc: "Arguments of the script."}}, azureInputs)},
		{Name: "AzureCLI", Major: 2, Title: "Azure CLI", Doc: "Runs a script that calls az: the image's Azure CLI, or Slipway's own, which works on this server.", Inputs: slices.Concat(
			[]Input{subscriptionInput, scriptTypeInput}, scriptInputs, shellInputs, azureInputs, sessionInputs)},
		{Name: "AzureCLI", Major: 3, Title: "Azure CLI", Doc: "Runs a script that calls az: the image's Azure CLI, or Slipway's own, which works on this server.", Inputs: slices.Concat(
			[]Input{
				{Name: "connectionType", Doc: "Which of the following inputs names the connection.", Default: "azureRM", Required: true, Options: []string{"azureRM", "azureDevOps"}},
				{Name: "connectedServiceNameARM", Aliases: []string{"azureSubscription"}, Doc: subscriptionInput.Doc, Connection: []string{"azurerm"}, Own: true, NeededFor: "connectionType", NeededForValues: []string{"azureRM"}},
				{Name: "azureDevOpsServiceConnection", Doc: "A connection to Azure DevOps: here this server, by the job's token.", NeededFor: "connectionType", NeededForValues: []string{"azureDevOps"}},
				scriptTypeInput,
			}, scriptInputs, shellInputs, azureInputs, sessionInputs, []Input{
				{Name: "allowNoSubscriptions", Doc: "Changes nothing: the job's project is the one subscription.", Default: "false", Boolean: true},
			})},
		keyVault(1),
		keyVault(2),
		azurePowerShell(2),
		azurePowerShell(3),
		azurePowerShell(4),
		azurePowerShell(5),
	}
}

// azurePowerShell runs by the module Az of the job's image. The versions before the fourth are for Windows and its AzureRM.
func azurePowerShell(major int) Definition {
	var inputs []Input
	subscription := Input{Name: "ConnectedServiceNameARM", Aliases: []string{"azureSubscription"}, Required: true, Connection: []string{"azurerm"},
		Doc: "The service connection to Azure, as whose service principal the script is signed in."}
	if major < 4 {
		subscription.NeededFor, subscription.NeededForValues = "ConnectedServiceNameSelector", []string{"ConnectedServiceNameARM"}
		inputs = []Input{
			{Name: "ConnectedServiceNameSelector", Aliases: []string{"azureConnectionType"}, Doc: "The kind of the connection.", Default: "ConnectedServiceNameARM",
				Options: []string{"ConnectedServiceName", "ConnectedServiceNameARM"}, Unsupported: map[string]string{"ConnectedServiceName": noClassicAzure}},
			{Name: "ConnectedServiceName", Aliases: []string{"azureClassicSubscription"}, Doc: "A connection to classic Azure.", Unsupported: map[string]string{"": noClassicAzure}},
		}
	}
	arguments := Input{Name: "ScriptArguments", Doc: "Arguments of the script, as PowerShell reads them."}
	inputs = append(inputs, subscription,
		Input{Name: "ScriptType", Doc: "Whether the script is a file or stands here.", Default: "FilePath", Required: major == 2, Options: []string{"FilePath", "InlineScript"}},
		Input{Name: "ScriptPath", Doc: "The script file, *.ps1.", NeededFor: "ScriptType", NeededForValues: []string{"FilePath"}},
		Input{Name: "Inline", Doc: "The script.", NeededFor: "ScriptType", NeededForValues: []string{"InlineScript"}}, arguments)
	if major > 2 {
		inputs = append(inputs,
			Input{Name: "errorActionPreference", Doc: "What PowerShell does when a command of it fails.", Default: "stop", Options: []string{"stop", "continue", "silentlyContinue"}},
			Input{Name: "FailOnStandardError", Doc: "Whether the step fails if the script writes to standard error.", Default: "false", Boolean: true})
	}
	if major == 4 {
		inputs = append(inputs, Input{Name: "RestrictContextToCurrentTask", Doc: "Changes nothing: steps that follow are never signed in.", Default: "false", Boolean: true})
	}
	inputs = append(inputs,
		Input{Name: "TargetAzurePs", Aliases: []string{"azurePowerShellVersion"}, Doc: "Whether the newest module Az of the image is used, or the version that is named.", Default: "OtherVersion",
			Options: []string{"LatestVersion", "OtherVersion"}},
		Input{Name: "CustomTargetAzurePs", Aliases: []string{"preferredAzurePowerShellVersion"}, Doc: "The version of Az, as 12.1.0, which the image must have.",
			NeededFor: "TargetAzurePs", NeededForValues: []string{"OtherVersion"}})
	if major >= 4 {
		inputs = append(inputs, Input{Name: "pwsh", Doc: "Whether PowerShell Core is meant, which it always is.", Default: "false", Boolean: true})
	}
	if major > 2 {
		inputs = append(inputs, Input{Name: "validateScriptSignature", Doc: "Has no effect: PowerShell checks signatures of scripts on Windows alone.", Default: "false", Boolean: true})
	}
	if major >= 4 {
		inputs = append(inputs, Input{Name: "workingDirectory", Doc: "Where it runs."})
	}
	return Definition{Name: "AzurePowerShell", Major: major, Title: "Azure PowerShell", Doc: "Runs a script in PowerShell (pwsh) that is signed in to Azure, by the module Az of the job's image.", Inputs: inputs}
}

const noClassicAzure = "classic Azure is no more: use a connection of type Azure Resource Manager as azureSubscription"

// keyVault has the variable group of the vault's name in place of the vault.
func keyVault(major int) Definition {
	return Definition{Name: "AzureKeyVault", Major: major, Title: "Azure Key Vault", Doc: "Makes the variables of the variable group of the vault's name secret ones of the steps that follow.", Inputs: []Input{
		{Name: "ConnectedServiceName", Aliases: []string{"azureSubscription"}, Required: true, Doc: "The connection to Azure, which is not used: the vault is a variable group."},
		{Name: "KeyVaultName", Required: true, Doc: "The vault: the variable group of that name."},
		{Name: "SecretsFilter", Default: "*", Required: true, Doc: "The variables that are taken, parted by commas; * takes all."},
		{Name: "RunAsPreJob", Default: "false", Boolean: true, Doc: "Whether it is done before the job's first step."},
	}}
}

var subscriptionInput = Input{Name: "connectedServiceNameARM", Aliases: []string{"azureSubscription"}, Required: true, Connection: []string{"azurerm"}, Own: true,
	Doc: "The service connection as which the Azure CLI of the job's image is signed in. Slipway's own az works on this server by the job's token, whatever the name is."}

var scriptTypeInput = Input{Name: "scriptType", Doc: "The script's language; ps is run by PowerShell (pwsh) too.", Required: true, Options: []string{"ps", "pscore", "batch", "bash"},
	Unsupported: map[string]string{"batch": "jobs run on Linux, write a script of type bash or pscore"}}

// scriptInputs are the script.
var scriptInputs = []Input{
	{Name: "scriptLocation", Doc: "Whether the script is a file or stands here.", Default: "scriptPath", Required: true, Options: []string{"inlineScript", "scriptPath"}},
	{Name: "scriptPath", Doc: "The script file, *.sh or *.ps1.", NeededFor: "scriptLocation", NeededForValues: []string{"scriptPath"}},
	{Name: "inlineScript", Doc: "The script.", NeededFor: "scriptLocation", NeededForValues: []string{"inlineScript"}},
}

// shellInputs are those of scripts that may be PowerShell's.
var shellInputs = []Input{
	{Name: "scriptArguments", Aliases: []string{"arguments"}, Doc: "Arguments of the script."},
	{Name: "powerShellErrorActionPreference", Doc: "What PowerShell does when a command of it fails.", Default: "stop", Options: []string{"stop", "continue", "silentlyContinue"}},
	{Name: "powerShellIgnoreLASTEXITCODE", Doc: "Whether the exit code of the last program that PowerShell ran is ignored.", Default: "false", Boolean: true},
}

// azureInputs are those of the script's surroundings.
var azureInputs = []Input{
	{Name: "addSpnToEnvironment", Doc: "Whether the script sees servicePrincipalId, servicePrincipalKey and tenantId: those of the connection, or the job's own user, token and project.", Default: "false", Boolean: true},
	{Name: "useGlobalConfig", Doc: "Whether az has the configuration of the job's user in place of one of the step's own.", Default: "false", Boolean: true},
	{Name: "cwd", Aliases: []string{"workingDirectory"}, Doc: "Where it runs."},
	{Name: "failOnStandardError", Doc: "Whether the step fails if the script writes to standard error.", Default: "false", Boolean: true},
}

// sessionInputs are those of signing in, which a job need not.
var sessionInputs = []Input{
	{Name: "visibleAzLogin", Doc: "Whether the log says by whom az works.", Default: "true", Boolean: true},
	{Name: "keepAzSessionActive", Doc: "Has no effect: Slipway's az works as long as the job, and a session of the image's is not renewed.", Default: "false", Boolean: true},
}
