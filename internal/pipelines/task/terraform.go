package task

// noTerraformConnection is what to write instead of connections to other clouds, and of ways to sign in without a secret.
const noTerraformConnection = "terraform gets connections to Azure and AWS alone: leave it out, name the backend in the configuration or in commandOptions (-backend-config=...), and give credentials in env, as GOOGLE_CREDENTIALS"

// terraformExtension begins the full names of the tasks of Microsoft's extension for Terraform.
const terraformExtension = "ms-devlabs.custom-terraform-tasks.custom-terraform-"

// terraformTasks run Terraform, as the tasks of its extension do. Each of its versions had a name of its own until the fifth.
func terraformTasks() []Definition {
	return []Definition{
		terraform("TerraformTaskV1", 0, terraformPlan, nil),
		terraform("TerraformTaskV2", 2, terraformPlan, nil),
		terraform("TerraformTaskV3", 3, terraformAll, []Input{
			{Name: "customCommand", Doc: "The command and its arguments.", NeededFor: "command", NeededForValues: []string{"custom"}},
			{Name: "outputType", Doc: "Where the output of show and of custom commands goes.", Default: "console", Options: []string{"file", "console"}},
			{Name: "outputFormat", Doc: "The format of show.", Default: "json", Options: []string{"json", "standard"}},
			{Name: "fileName", Doc: "The file that the output goes to.", Default: "tfplan.json"},
		}),
		terraform("TerraformTaskV4", 4, terraformAll, terraformOutput, "backendAzureRmUseEnvironmentVariablesForAuthentication", "backendAzureRmUseEntraIdForAuthentication"),
		terraform("TerraformTask", 5, terraformAll, terraformOutput, "environmentAzureRmOverrideSubscriptionID", "environmentAzureRmUseIdTokenGeneration", "environmentServiceNameOCI",
			"backendAzureRmUseEntraIdForAuthentication", "backendAzureRmUseCliFlagsForAuthentication", "backendAzureRmUseIdTokenGeneration", "backendAzureRmOverrideSubscriptionID",
			"backendServiceOCI", "backendOCIPar", "backendOCIConfigGenerate"),
	}
}

var (
	terraformPlan = []string{"init", "validate", "plan", "apply", "destroy"}
	terraformAll  = []string{"init", "validate", "plan", "show", "apply", "output", "destroy", "custom"}
)

var terraformOutput = []Input{
	{Name: "customCommand", Doc: "The command and its arguments.", NeededFor: "command", NeededForValues: []string{"custom"}},
	{Name: "outputTo", Doc: "Where the output of show and of custom commands goes.", Default: "console", Options: []string{"file", "console"}},
	{Name: "outputFormat", Doc: "The format of show.", Default: "default", Options: []string{"json", "default"}},
	{Name: "fileName", Doc: "The file that the output goes to.", NeededFor: "outputTo", NeededForValues: []string{"file"}},
}

// terraformClouds are connections to clouds, and what init tells their backends.
var terraformClouds = []Input{
	{Name: "environmentServiceNameAzureRM", Doc: "The service connection to Azure, whose service principal becomes ARM_CLIENT_ID and the like.", Connection: []string{"azurerm"}},
	{Name: "environmentServiceNameAWS", Doc: "The service connection to AWS, whose key becomes AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.", Connection: []string{"awsserviceendpoint", "aws"}},
	{Name: "backendServiceArm", Doc: "The service connection to Azure with which init reaches the state.", Connection: []string{"azurerm"}},
	{Name: "backendAzureRmResourceGroupName", Doc: "The resource group of the state."},
	{Name: "backendAzureRmStorageAccountName", Doc: "The storage account of the state."},
	{Name: "backendAzureRmContainerName", Doc: "The container of the state."},
	{Name: "backendAzureRmKey", Doc: "The name of the state in the container."},
	{Name: "backendServiceAWS", Doc: "The service connection to AWS with which init reaches the state.", Connection: []string{"awsserviceendpoint", "aws"}},
	{Name: "backendAWSBucketName", Doc: "The bucket of the state."},
	{Name: "backendAWSKey", Doc: "The name of the state in the bucket."},
}

// terraform is a task with its own inputs, and those that all versions and this one have for clouds.
func terraform(name string, major int, commands []string, own []Input, clouds ...string) Definition {
	providers := []string{"azurerm", "aws", "gcp"}
	if major >= 5 {
		providers = append(providers, "oci")
	}
	inputs := append([]Input{
		{Name: "provider", Doc: "The cloud, which changes nothing without a connection to it.", Default: "azurerm", Options: providers},
		{Name: "command", Doc: "The command.", Default: "init", Options: commands},
		{Name: "workingDirectory", Doc: "The folder of the configuration.", Default: "$(System.DefaultWorkingDirectory)"},
		{Name: "commandOptions", Doc: "More arguments of the command."},
	}, own...)
	inputs = append(inputs, terraformClouds...)
	for _, cloud := range append([]string{"environmentServiceNameGCP", "backendServiceGCP", "backendGCPBucketName", "backendGCPPrefix"}, clouds...) {
		inputs = append(inputs, Input{Name: cloud, Doc: "A part of a connection to a cloud.", Unsupported: map[string]string{"": noTerraformConnection}})
	}
	return Definition{Name: name, Major: major, Extension: terraformExtension + "release-task", Title: name, Doc: "Runs terraform, with credentials from the environment or a service connection.", Inputs: inputs}
}
