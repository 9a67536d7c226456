package task

// What to write instead of parts of TerraformCLI that are not there.
const (
	noGoogle   = "terraform gets connections to Azure and AWS alone: name the backend in commandOptions (-backend-config=...), and give GOOGLE_CREDENTIALS in env"
	noVarsFile = "put DownloadSecureFile@1 with a name before it, and -var-file=$(NAME.secureFilePath) into commandOptions"
)

// terraformCLITasks are the versions of TerraformCLI, of the extension that many use beside Microsoft's.
func terraformCLITasks() []Definition {
	return []Definition{terraformCLI(0), terraformCLI(1), terraformCLI(2)}
}

func terraformCLI(major int) Definition {
	none := func(name, instead string) Input {
		return Input{Name: name, Doc: "It is not there.", Unsupported: map[string]string{"": instead}}
	}
	return Definition{
		Name: "TerraformCLI", Major: major, Extension: "JasonBJohnson.azure-pipelines-tasks-terraform.azure-pipelines-tasks-terraform-cli", Title: "Terraform CLI",
		Doc: "Runs terraform, with credentials from the environment or a service connection.",
		Inputs: []Input{
			{Name: "command", Doc: "The command.", Default: "validate", Options: []string{"version", "init", "validate", "plan", "apply", "destroy", "fmt", "show", "refresh", "import",
				"output", "forceunlock", "workspace", "state", "test"}},
			{Name: "workingDirectory", Doc: "The folder of the configuration.", Default: "$(System.DefaultWorkingDirectory)"},
			{Name: "commandOptions", Doc: "More arguments of the command."},
			{Name: "environmentServiceName", Doc: "The service connection to Azure, whose service principal becomes ARM_CLIENT_ID and the like.", Connection: []string{"azurerm"}},
			{Name: "providerAzureRmSubscriptionId", Doc: "The subscription, in place of the connection's."},
			{Name: "providerServiceAws", Doc: "The service connection to AWS, whose key becomes AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.", Connection: []string{"awsserviceendpoint", "aws"}},
			{Name: "providerAwsRegion", Doc: "The region of AWS."},
			{Name: "backendType", Doc: "Where init finds the state.", Default: "local", Options: []string{"local", "azurerm", "selfConfigured", "aws", "gcs"},
				Unsupported: map[string]string{"gcs": noGoogle}},
			{Name: "backendServiceArm", Doc: "The service connection to Azure with which init reaches the state.", Connection: []string{"azurerm"}},
			{Name: "backendAzureRmTenantId", Doc: "The tenant of the state, in place of the connection's."},
			{Name: "backendAzureRmSubscriptionId", Doc: "The subscription of the state, in place of the connection's."},
			{Name: "backendAzureRmResourceGroupName", Doc: "The resource group of the state."},
			{Name: "backendAzureRmStorageAccountName", Doc: "The storage account of the state."},
			{Name: "backendAzureRmContainerName", Doc: "The container of the state."},
			{Name: "backendAzureRmKey", Doc: "The name of the state in the container."},
			{Name: "backendServiceAws", Doc: "The service connection to AWS with which init reaches the state.", Connection: []string{"awsserviceendpoint", "aws"}},
			{Name: "backendAwsRegion", Doc: "The region of the state."},
			{Name: "backendAwsBucket", Doc: "The bucket of the state."},
			{Name: "backendAwsKey", Doc: "The name of the state in the bucket."},
			{Name: "inputTargetPlanOrStateFilePath", Doc: "The plan or state that show reads."},
			{Name: "resourceAddress", Doc: "Where import puts the resource.", NeededFor: "command", NeededForValues: []string{"import"}},
			{Name: "resourceId", Doc: "The resource that is imported.", NeededFor: "command", NeededForValues: []string{"import"}},
			{Name: "lockID", Doc: "The lock that is removed.", NeededFor: "command", NeededForValues: []string{"forceunlock"}},
			{Name: "publishPlanResults", Doc: "A name for the plan, which asks for -detailed-exitcode; the plan stands in the log, there is no page of plans."},
			{Name: "workspaceSubCommand", Doc: "What workspace does.", Default: "select", Options: []string{"select", "new"}},
			{Name: "workspaceName", Doc: "The workspace.", NeededFor: "command", NeededForValues: []string{"workspace"}},
			{Name: "skipExistingWorkspace", Doc: "Whether a new workspace may be there already.", Boolean: true, Default: "false"},
			{Name: "stateSubCommand", Doc: "What state does.", Default: "list", Options: []string{"list", "mv", "rm"}},
			{Name: "stateMoveSource", Doc: "The address that mv moves.", NeededFor: "stateSubCommand", NeededForValues: []string{"mv"}},
			{Name: "stateMoveDestination", Doc: "The address that mv moves it to.", NeededFor: "stateSubCommand", NeededForValues: []string{"mv"}},
			{Name: "stateSubCommandAddresses", Doc: "The addresses of list and rm, one a line.", NeededFor: "stateSubCommand", NeededForValues: []string{"rm"}},
			{Name: "allowTelemetryCollection", Doc: "Changes nothing: nothing is told to anybody.", Boolean: true, Default: "true"},
			{Name: "runAzLogin", Doc: "Whether az is signed in; it is not.", Boolean: true, Default: "false",
				Unsupported: map[string]string{"true": "sign in by az login in a script step of a job whose image has the Azure CLI"}},
			{Name: "ensureBackend", Doc: "Whether the place of the state is made; it is not.", Boolean: true, Default: "false",
				Unsupported: map[string]string{"true": "make the storage account once, by az in a script step or by hand"}},
			{Name: "backendAzureRmResourceGroupLocation", Doc: "Has no effect without ensureBackend."},
			{Name: "backendAzureRmStorageAccountSku", Doc: "Has no effect without ensureBackend.", Default: "Standard_RAGRS"},
			none("secureVarsFile", noVarsFile), none("backendGcsCredentials", noGoogle), none("backendGcsBucket", noGoogle), none("backendGcsPrefix", noGoogle),
			none("providerGoogleCredentials", noGoogle), none("providerGoogleProject", noGoogle), none("providerGoogleRegion", noGoogle),
		},
	}
}
