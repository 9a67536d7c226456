package task

import "strings"

// Absence is why Slipway does not have a task of Azure Pipelines' own library, and what to do.
type Absence struct {
	// Needs names what the task cannot do without: Windows, macOS or Microsoft, for services of its own; "" when it could run here.
	Needs   string
	Instead string
}

const (
	useDotnet  = "jobs run on Linux: use dotnet in a script step"
	useCluster = "deploy to Kubernetes with KubernetesManifest@1"
	useProgram = "run its program in a bash step"
	upload     = "upload it with slipway tasks upload, or run its program in a bash step"
	onWindows  = "it drives machines of Windows, which are not here"
	onMac      = "it needs Xcode, which Linux does not have"
	retired    = "Microsoft has retired it: leave it out"
	useTfx     = "run tfx extension in a script step after TfxInstaller@5, with the Marketplace's token in env"
	microsofts = "it calls a service that Microsoft has for its own products: leave it out"
)

// inAzure is what a task of Azure's services does, by the Azure CLI.
func inAzure(command string) string {
	return "run " + command + " in a bash step of a job whose container has the Azure CLI (mcr.microsoft.com/azure-cli), with the credentials of a service principal in env"
}

// orCluster is inAzure for a task that deploys what could run in a pod.
func orCluster(command string) string {
	return "deploy an image to Kubernetes with KubernetesManifest@1, or " + inAzure(command)
}

// absences are the tasks of the public library (github.com/microsoft/azure-pipelines-tasks) that are not here, by name in
// lower case, and a few of Microsoft's extensions that many files have. The map is never changed.
var absences = map[string]Absence{
	"androidsigning":                         {"", upload},
	"antimalware":                            {"Microsoft", microsofts},
	"apachejmeterloadtest":                   {"", retired},
	"appcenterdistribute":                    {"", retired},
	"appcentertest":                          {"", retired},
	"automatedanalysis":                      {"", retired},
	"azureappconfigurationexport":            {"", inAzure("az appconfig kv export")},
	"azureappconfigurationimport":            {"", inAzure("az appconfig kv import")},
	"azureappconfigurationsnapshot":          {"", inAzure("az appconfig snapshot create")},
	"azureappservicemanage":                  {"", inAzure("az webapp start, stop, restart or deployment slot swap")},
	"azureappservicesettings":                {"", inAzure("az webapp config appsettings set")},
	"azurecloudpowershelldeployment":         {"Windows", onWindows},
	"azurecontainerapps":                     {"", orCluster("az containerapp up")},
	"azurefilecopy":                          {"Windows", inAzure("az storage blob upload-batch")},
	"azurefunction":                          {"", useCall},
	"azurefunctionapp":                       {"", orCluster("az functionapp deployment source config-zip")},
	"azurefunctionappcontainer":              {"", orCluster("az functionapp config container set")},
	"azurefunctiononkubernetes":              {"", useCluster},
	"azureiotedge":                           {"", upload},
	"azuremonitor":                           {"", useCall},
	"azuremysqldeployment":                   {"", "run mysql in a bash step, with its password in env"},
	"azurenlbmanagement":                     {"", retired},
	"azurepolicycheckgate":                   {"", inAzure("az policy state summarize")},
	"azureresourcegroupdeployment":           {"", inAzure("az deployment group create")},
	"azureresourcemanagertemplatedeployment": {"", inAzure("az deployment group create")},
	"azurermwebappdeployment":                {"", orCluster("az webapp deploy")},
	"azurespringcloud":                       {"", orCluster("az spring app deploy")},
	"azurestaticwebapp":                      {"", "serve the files from an image deployed with KubernetesManifest@1, or run npx @azure/static-web-apps-cli deploy in a script step, with the deployment token in env"},
	"azuretestplan":                          {"", "run the tests in a script step and publish them with PublishTestResults@2"},
	"azurevmssdeployment":                    {"", inAzure("az vmss update")},
	"azurewebapp":                            {"", orCluster("az webapp deploy")},
	"azurewebappcontainer":                   {"", orCluster("az webapp config container set")},
	"batchscript":                            {"Windows", "jobs run on Linux: use a bash step"},
	"bicepdeploy":                            {"", inAzure("az deployment group create")},
	"binskim":                                {"Microsoft", microsofts},
	"buildqualitychecks":                     {"", "compare the numbers in a script step, and fail it with exit 1"},
	"cargoauthenticate":                      {"", upload},
	"chef":                                   {"", retired},
	"chefknife":                              {"", retired},
	"cloudloadtest":                          {"", retired},
	"cocoapods":                              {"macOS", onMac},
	"codeql3000finalize":                     {"Microsoft", microsofts},
	"codeql3000init":                         {"Microsoft", microsofts},
	"componentgovernancecomponentdetection":  {"", "leave it out"},
	"condaauthenticate":                      {"", upload},
	"condaenvironment":                       {"", useProgram},
	"containerbuild":                         {"", "use Docker@2"},
	"containerstructuretest":                 {"", useProgram},
	"credscan":                               {"", "a push with a secret in it is refused: leave it out"},
	"downloadfileshareartifacts":             {"", "publish them as artifacts, and use DownloadPipelineArtifact@2"},
	"downloadgithubnpmpackage":               {"", "run npm in a bash step"},
	"downloadgithubnugetpackage":             {"", "run dotnet in a bash step"},
	"downloadpackage":                        {"", upload},
	"duffleinstaller":                        {"", retired},
	"esrpcodesigning":                        {"Microsoft", microsofts},
	"esrprelease":                            {"Microsoft", microsofts},
	"ftpupload":                              {"", "run curl in a bash step"},
	"functoolsinstaller":                     {"", upload},
	"githubcomment":                          {"", "run gh in a bash step, with the token in env"},
	"gradleauthenticate":                     {"", upload},
	"iiswebappdeployment":                    {"Windows", onWindows},
	"iiswebappdeploymentonmachinegroup":      {"Windows", onWindows},
	"iiswebappmanagementonmachinegroup":      {"Windows", onWindows},
	"installapplecertificate":                {"macOS", onMac},
	"installappleprovisioningprofile":        {"macOS", onMac},
	"installazuredevopsextension":            {"", useTfx},
	"isazuredevopsextensionvalid":            {"", useTfx},
	"jenkinsdownloadartifacts":               {"", upload},
	"jenkinsqueuejob":                        {"", upload},
	"manualintervention":                     {"", "use ManualValidation@1 in a job with pool: server"},
	"microbuildcleanup":                      {"Microsoft", microsofts},
	"microbuildsigningplugin":                {"Microsoft", microsofts},
	"mysqldeploymentonmachinegroup":          {"", retired},
	"notation":                               {"", upload},
	"nuget":                                  {"", "use NuGetCommand@2 or DotNetCoreCLI@2"},
	"nugetinstaller":                         {"", "use NuGetCommand@2 or DotNetCoreCLI@2"},
	"nugetpackager":                          {"", "use NuGetCommand@2 or DotNetCoreCLI@2"},
	"nugetpublisher":                         {"", "use NuGetCommand@2 or DotNetCoreCLI@2"},
	"nugetrestore":                           {"", "use NuGetCommand@2 or DotNetCoreCLI@2"},
	"onelocbuild":                            {"Microsoft", microsofts},
	"packageazuredevopsextension":            {"", useTfx},
	"packerbuild":                            {"", useProgram},
	"policheck":                              {"Microsoft", microsofts},
	"postanalysis":                           {"Microsoft", microsofts},
	"powershellontargetmachines":             {"Windows", onWindows},
	"publishazuredevopsextension":            {"", useTfx},
	"publishsecurityanalysislogs":            {"Microsoft", microsofts},
	"publishsymbols":                         {"", upload},
	"publishtoazureservicebus":               {"", useCall},
	"pypipublisher":                          {"", "run twine in a bash step"},
	"queryazuremonitor":                      {"", useCall},
	"queryworkitems":                         {"", useCall},
	"quickperftest":                          {"", retired},
	"reviewapp":                              {"", "deploy each branch to an environment of its own"},
	"sdtreport":                              {"Microsoft", microsofts},
	"servicefabriccomposedeploy":             {"Windows", onWindows},
	"servicefabricdeploy":                    {"Windows", onWindows},
	"servicefabricpowershell":                {"Windows", onWindows},
	"servicefabricupdatemanifests":           {"Windows", onWindows},
	"sqlazuredacpacdeployment":               {"Windows", onWindows},
	"sqldacpacdeploymentonmachinegroup":      {"Windows", onWindows},
	"sqlserverdacpacdeployment":              {"Windows", onWindows},
	"tsaupload":                              {"Microsoft", microsofts},
	"visualstudiotestplatforminstaller":      {"Windows", useDotnet},
	"vsbuild":                                {"Windows", useDotnet},
	"vstest":                                 {"Windows", "jobs run on Linux: use dotnet test in a script step"},
	"windowsmachinefilecopy":                 {"Windows", onWindows},
	"xamarinandroid":                         {"", retired},
	"xamarinios":                             {"macOS", onMac},
	"xamarintestcloud":                       {"", retired},
	"xcode":                                  {"macOS", onMac},
}

// Absent says why a task of Azure Pipelines' own library is not here. It is false for other names: those of extensions
// and of companies' own tasks.
func Absent(name string) (Absence, bool) {
	a, ok := absences[strings.ToLower(name)]
	return a, ok
}
