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
	useAzure   = "run az in a bash step, with its credentials in env"
	useCluster = "deploy to Kubernetes with KubernetesManifest@1"
	useProgram = "run its program in a bash step"
	upload     = "upload it with slipway tasks upload, or run its program in a bash step"
	onWindows  = "it drives machines of Windows, which are not here"
	onMac      = "it needs Xcode, which Linux does not have"
	retired    = "Microsoft has retired it: leave it out"
	useTfx     = "run npx tfx-cli extension in a script step, with the Marketplace's token in env"
	microsofts = "it calls a service that Microsoft has for its own products: leave it out"
)

// absences are the tasks of the public library (github.com/microsoft/azure-pipelines-tasks) that are not here, by name in
// lower case, and a few of Microsoft's extensions that many files have. The map is never changed.
var absences = map[string]Absence{
	"androidsigning":                         {"", upload},
	"antimalware":                            {"Microsoft", microsofts},
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
	"copypublishbuildartifacts":              {"", "use CopyFiles@2 and PublishPipelineArtifact@1"},
	"credscan":                               {"", "a push with a secret in it is refused: leave it out"},
	"curluploader":                           {"", "run curl in a bash step"},
	"decryptfile":                            {"", "run openssl in a bash step"},
	"dotnetcoreinstaller":                    {"", "use UseDotNet@2"},
	"downloadfileshareartifacts":             {"", "publish them as artifacts, and use DownloadPipelineArtifact@2"},
	"downloadgithubnpmpackage":               {"", "run npm in a bash step"},
	"downloadgithubnugetpackage":             {"", "run dotnet in a bash step"},
	"downloadgithubrelease":                  {"", "run gh in a bash step, with the token in env"},
	"downloadpackage":                        {"", upload},
	"duffleinstaller":                        {"", retired},
	"esrpcodesigning":                        {"Microsoft", microsofts},
	"esrprelease":                            {"Microsoft", microsofts},
	"ftpupload":                              {"", "run curl in a bash step"},
	"functoolsinstaller":                     {"", upload},
	"githubcomment":                          {"", "run gh in a bash step, with the token in env"},
	"gradleauthenticate":                     {"", upload},
	"grunt":                                  {"", useProgram},
	"gulp":                                   {"", useProgram},
	"iiswebappdeployment":                    {"Windows", onWindows},
	"iiswebappdeploymentonmachinegroup":      {"Windows", onWindows},
	"iiswebappmanagementonmachinegroup":      {"Windows", onWindows},
	"installapplecertificate":                {"macOS", onMac},
	"installappleprovisioningprofile":        {"macOS", onMac},
	"installazuredevopsextension":            {"", useTfx},
	"isazuredevopsextensionvalid":            {"", useTfx},
	"jenkinsdownloadartifacts":               {"", upload},
	"jenkinsqueuejob":                        {"", upload},
	"kubelogininstaller":                     {"", "leave it out: kubectl has the job's own access"},
	"manualintervention":                     {"", "use ManualValidation@1 in a job with pool: server"},
	"microbuildcleanup":                      {"Microsoft", microsofts},
	"microbuildsigningplugin":                {"Microsoft", microsofts},
	"mysqldeploymentonmachinegroup":          {"", retired},
	"nodetaskrunnerinstaller":                {"", "leave it out: tasks run on the job's own Node.js, which UseNode@1 installs"},
	"notation":                               {"", upload},
	"nuget":                                  {"", "use NuGetCommand@2 or DotNetCoreCLI@2"},
	"nugetinstaller":                         {"", "use NuGetCommand@2 or DotNetCoreCLI@2"},
	"nugetpackager":                          {"", "use NuGetCommand@2 or DotNetCoreCLI@2"},
	"nugetpublisher":                         {"", "use NuGetCommand@2 or DotNetCoreCLI@2"},
	"nugetrestore":                           {"", "use NuGetCommand@2 or DotNetCoreCLI@2"},
	"onelocbuild":                            {"Microsoft", microsofts},
	"openpolicyagentinstaller":               {"", upload},
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
	"reportgenerator":                        {"", "PublishCodeCoverageResults@2 merges reports; for pages of its own run dotnet tool install --global dotnet-reportgenerator-globaltool in a script step"},
	"reviewapp":                              {"", "deploy each branch to an environment of its own"},
	"sdtreport":                              {"Microsoft", microsofts},
	"servicefabriccomposedeploy":             {"Windows", onWindows},
	"servicefabricdeploy":                    {"Windows", onWindows},
	"servicefabricpowershell":                {"Windows", onWindows},
	"servicefabricupdatemanifests":           {"Windows", onWindows},
	"sqlazuredacpacdeployment":               {"Windows", onWindows},
	"sqldacpacdeploymentonmachinegroup":      {"Windows", onWindows},
	"sqlserverdacpacdeployment":              {"Windows", onWindows},
	"terraformcli":                           {"", useTerraform},
	"tfxinstaller":                           {"", "run npm install --global tfx-cli in a script step"},
	"tsaupload":                              {"Microsoft", microsofts},
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
