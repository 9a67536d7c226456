package task

import "strings"

// Absence is why Slipway does not have a task of Azure Pipelines' own library, and what to do.
type Absence struct {
	// Needs names the system that the task cannot do without, Windows or macOS; "" when it could run here.
	Needs   string
	Instead string
}

const (
	useDotnet  = "jobs run on Linux: use dotnet in a script step"
	useAzure   = "run az in a bash step, with its credentials in env"
	useCluster = "deploy to Kubernetes with KubernetesManifest@1"
	useProgram = "run its program in a bash step"
	upload     = "upload it with slipway tasks upload, or run its program in a bash step"
	onWindows  = "it drives machines of Windows, which are not here"
	onMac      = "it needs Xcode, which Linux does not have"
	retired    = "Microsoft has retired it: leave it out"
)

// absences are the tasks of the public library (github.com/microsoft/azure-pipelines-tasks) that are not here, by name in
// lower case, and a few of Microsoft's extensions that many files have. The map is never changed.
var absences = map[string]Absence{
	"androidsigning":                         {"", upload},
	"apachejmeterloadtest":                   {"", retired},
	"appcenterdistribute":                    {"", retired},
	"appcentertest":                          {"", retired},
	"automatedanalysis":                      {"", retired},
	"azureappconfigurationexport":            {"", useAzure},
	"azureappconfigurationimport":            {"", useAzure},
	"azureappconfigurationsnapshot":          {"", useAzure},
	"azureappservicemanage":                  {"", useAzure},
	"azureappservicesettings":                {"", useAzure},
	"azurecloudpowershelldeployment":         {"Windows", onWindows},
	"azurecontainerapps":                     {"", useCluster},
	"azurefilecopy":                          {"Windows", useAzure},
	"azurefunction":                          {"", useCall},
	"azurefunctionapp":                       {"", useCluster},
	"azurefunctionappcontainer":              {"", useCluster},
	"azurefunctiononkubernetes":              {"", useCluster},
	"azureiotedge":                           {"", upload},
	"azuremonitor":                           {"", useCall},
	"azuremysqldeployment":                   {"", useAzure},
	"azurenlbmanagement":                     {"", retired},
	"azurepolicycheckgate":                   {"", useAzure},
	"azurepowershell":                        {"", useAzure},
	"azureresourcegroupdeployment":           {"", useAzure},
	"azureresourcemanagertemplatedeployment": {"", useAzure},
	"azurermwebappdeployment":                {"", useCluster},
	"azurespringcloud":                       {"", useCluster},
	"azurestaticwebapp":                      {"", useCluster},
	"azuretestplan":                          {"", "run the tests in a script step and publish them with PublishTestResults@2"},
	"azurevmssdeployment":                    {"", useAzure},
	"azurewebapp":                            {"", useCluster},
	"azurewebappcontainer":                   {"", useCluster},
	"batchscript":                            {"Windows", "jobs run on Linux: use a bash step"},
	"bicepdeploy":                            {"", useAzure},
	"cargoauthenticate":                      {"", upload},
	"chef":                                   {"", retired},
	"chefknife":                              {"", retired},
	"cloudloadtest":                          {"", retired},
	"cocoapods":                              {"macOS", onMac},
	"componentgovernancecomponentdetection":  {"", "leave it out"},
	"condaauthenticate":                      {"", upload},
	"condaenvironment":                       {"", useProgram},
	"containerbuild":                         {"", "use Docker@2"},
	"containerstructuretest":                 {"", useProgram},
	"copypublishbuildartifacts":              {"", "use CopyFiles@2 and PublishPipelineArtifact@1"},
	"curluploader":                           {"", "run curl in a bash step"},
	"decryptfile":                            {"", "run openssl in a bash step"},
	"dotnetcoreinstaller":                    {"", "use UseDotNet@2"},
	"downloadfileshareartifacts":             {"", "publish them as artifacts, and use DownloadPipelineArtifact@2"},
	"downloadgithubnpmpackage":               {"", "run npm in a bash step"},
	"downloadgithubnugetpackage":             {"", "run dotnet in a bash step"},
	"downloadgithubrelease":                  {"", "run gh in a bash step, with the token in env"},
	"downloadpackage":                        {"", upload},
	"duffleinstaller":                        {"", retired},
	"ftpupload":                              {"", "run curl in a bash step"},
	"functoolsinstaller":                     {"", upload},
	"githubcomment":                          {"", "run gh in a bash step, with the token in env"},
	"githubrelease":                          {"", "run gh in a bash step, with the token in env"},
	"gradleauthenticate":                     {"", upload},
	"grunt":                                  {"", useProgram},
	"gulp":                                   {"", useProgram},
	"iiswebappdeployment":                    {"Windows", onWindows},
	"iiswebappdeploymentonmachinegroup":      {"Windows", onWindows},
	"iiswebappmanagementonmachinegroup":      {"Windows", onWindows},
	"installapplecertificate":                {"macOS", onMac},
	"installappleprovisioningprofile":        {"macOS", onMac},
	"installsshkey":                          {"", "fetch the key with DownloadSecureFile@1 and run ssh-add in a bash step"},
	"jenkinsdownloadartifacts":               {"", upload},
	"jenkinsqueuejob":                        {"", upload},
	"kubelogininstaller":                     {"", "leave it out: kubectl has the job's own access"},
	"manualintervention":                     {"", "use ManualValidation@1 in a job with pool: server"},
	"msbuild":                                {"Windows", useDotnet},
	"mysqldeploymentonmachinegroup":          {"", retired},
	"nodetaskrunnerinstaller":                {"", upload},
	"notation":                               {"", upload},
	"nuget":                                  {"", "use NuGetCommand@2 or DotNetCoreCLI@2"},
	"nugetinstaller":                         {"", "use NuGetCommand@2 or DotNetCoreCLI@2"},
	"nugetpackager":                          {"", "use NuGetCommand@2 or DotNetCoreCLI@2"},
	"nugetpublisher":                         {"", "use NuGetCommand@2 or DotNetCoreCLI@2"},
	"nugetrestore":                           {"", "use NuGetCommand@2 or DotNetCoreCLI@2"},
	"openpolicyagentinstaller":               {"", upload},
	"packerbuild":                            {"", useProgram},
	"powershellontargetmachines":             {"Windows", onWindows},
	"publishsymbols":                         {"", upload},
	"publishtoazureservicebus":               {"", useCall},
	"pypipublisher":                          {"", "run twine in a bash step"},
	"queryazuremonitor":                      {"", useCall},
	"queryworkitems":                         {"", useCall},
	"quickperftest":                          {"", retired},
	"reviewapp":                              {"", "deploy each branch to an environment of its own"},
	"servicefabriccomposedeploy":             {"Windows", onWindows},
	"servicefabricdeploy":                    {"Windows", onWindows},
	"servicefabricpowershell":                {"Windows", onWindows},
	"servicefabricupdatemanifests":           {"Windows", onWindows},
	"sqlazuredacpacdeployment":               {"Windows", onWindows},
	"sqldacpacdeploymentonmachinegroup":      {"Windows", onWindows},
	"sqlserverdacpacdeployment":              {"Windows", onWindows},
	"terraformcli":                           {"", useTerraform},
	"universalpackages":                      {"", "publish an artifact with PublishPipelineArtifact@1"},
	"userubyversion":                         {"", "choose an image that has Ruby"},
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
