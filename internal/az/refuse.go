package az

import (
	"strings"

	"slipway"
)

// instead says what to use in place of commands that Slipway does not have, by the words that they begin with; the longest
// beginning counts. The map is never changed.
var instead = map[string]string{
	"acr":                        "the registry here knows az acr login, build, import, repository, manifest and show",
	"acr task":                   "write a pipeline with Docker@2, with triggers or schedules",
	"acr run":                    "write a pipeline's step",
	"acr create":                 "the server has a registry already",
	"acr helm":                   "push charts with `helm push` to oci://REGISTRY/PROJECT",
	"aks":                        "deploy with KubernetesManifest@1 in a deployment job",
	"appconfig":                  "use a variable group or an environment's variables",
	"artifacts":                  "az artifacts universal publish and download are here, and other packages are files of an artifact: use PublishPipelineArtifact@1",
	"boards":                     "az boards query and work-item show, create and update are here: there is one area and one iteration",
	"boards work-item delete":    "write az boards work-item update --id NUMBER --state Removed",
	"boards work-item relation":  "set a parent by az boards work-item update --id NUMBER --fields System.Parent=PARENT",
	"containerapp":               "deploy to Kubernetes with KubernetesManifest@1 in a deployment job",
	"container":                  "deploy to Kubernetes with KubernetesManifest@1 in a deployment job",
	"functionapp":                "deploy to Kubernetes with KubernetesManifest@1 in a deployment job",
	"webapp":                     "deploy to Kubernetes with KubernetesManifest@1 in a deployment job",
	"staticwebapp":               "deploy to Kubernetes with KubernetesManifest@1 in a deployment job",
	"keyvault":                   "use the task AzureKeyVault@2, which takes the variable group of the vault's name",
	"storage":                    "publish files as an artifact, with PublishPipelineArtifact@1",
	"repos":                      "az knows repos list, show, create, ref and pr here; the rest is in the REST API and in slipway repos",
	"repos import":               "write slipway repos import URL",
	"repos delete":               "write slipway repos delete NAME",
	"repos update":               "write slipway repos rename, or PATCH the repository over REST",
	"repos policy":               "set policies on the repository's page Policies, or over REST",
	"repos ref lock":             "lock the branch on the page Branches of the repository, or by PATCH of its refs",
	"repos ref unlock":           "unlock the branch on the page Branches of the repository, or by PATCH of its refs",
	"repos pr checkout":          "write git fetch origin refs/pull/NUMBER/merge && git checkout FETCH_HEAD",
	"repos pr work-item remove":  "take AB#NUMBER out of the text: az repos pr update --description",
	"pipelines variable":         "variables are set in the file, in a variable group, or for one run by az pipelines run --variables",
	"pipelines delete":           "delete the file, or disable the pipeline with slipway pipelines set",
	"pipelines update":           "change the file, or write slipway pipelines set NAME",
	"pipelines folder":           "pipelines have no folders here: leave it out",
	"pipelines pool":             "pools are on the page Pools and in slipway pools",
	"pipelines runs artifact":    "list and download are here; publish with PublishPipelineArtifact@1",
	"pipelines release":          "releases are deployment jobs of a pipeline",
	"devops":                     "az devops configure, invoke, project list and service-endpoint list are here: for the rest use the project's pages",
	"devops project":             "az devops project list and show are here: projects are made and changed on the server's pages",
	"devops service-endpoint":    "list and show are here: make service connections on the project's page, with slipway connections, or over REST",
	"account management-group":   "there is one subscription here",
	"deployment":                 noAzure,
	"group":                      noAzure,
	"monitor":                    "telemetry of this server's deployments is on their pages",
	"monitor app-insights query": "ask for telemetry on the project's pages",
}

const noAzure = "name a container image that has the Azure CLI, whose az then comes first, and give it credentials of your own in env"

// refuse says that a command is not there, and what to use instead.
func refuse(words []string) error {
	for n := len(words); n > 0; n-- {
		if advice, ok := instead[strings.Join(words[:n], " ")]; ok {
			return slipway.Unsupported("az %s: there is no Azure behind this server: %s", strings.Join(words, " "), advice)
		}
	}
	return slipway.Unsupported("az %s: there is no Azure behind this server: %s", strings.Join(words, " "), noAzure)
}
