package api

import (
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/pipelines/variable"
)

// Location is where a resource is. Clients of Azure DevOps know resources by their ids, and ask for all of these first.
type Location struct {
	ID              string `json:"id"`
	Area            string `json:"area"`
	ResourceName    string `json:"resourceName"`
	RouteTemplate   string `json:"routeTemplate"`
	ResourceVersion int    `json:"resourceVersion"`
	MinVersion      string `json:"minVersion"`
	MaxVersion      string `json:"maxVersion"`
	ReleasedVersion string `json:"releasedVersion"`
}

// locations are the resources that are served, with their ids in the public clients. The slice is never changed.
var locations = []Location{
	location("e81700f7-3be2-46de-8624-2eb35882fcaa", "Location", "ResourceAreas", "_apis/ResourceAreas/{areaId}"),
	location("00d9565f-ed9c-4a06-9a50-00e7896ccab4", "Location", "ConnectionData", "_apis/ConnectionData"),
	location("a8c47e17-4d56-4a56-92bb-de7ea7dc65be", "distributedtask", "pools", "_apis/distributedtask/pools/{poolId}"),
	location("e298ef32-5878-4cab-993c-043836571f42", "distributedtask", "agents", "_apis/distributedtask/pools/{poolId}/agents/{agentId}"),
	location("603fe2ac-9723-48b9-88ad-09305aa6c6e1", "core", "projects", "_apis/projects/{*projectId}"),
	location("9a1b74b4-2ca8-4a9f-8470-c2f2e6fdc949", "operations", "operations", "_apis/operations/{operationId}"),
	location("225f7195-f9c7-4d14-ab28-a83f7ff77e1f", "git", "repositories", "{project}/_apis/git/repositories/{repositoryId}"),
	location("fb93c0db-47ed-4a31-8c20-47552878fb44", "git", "items", "{project}/_apis/git/repositories/{repositoryId}/items/{*path}"),
	location("630fd2e4-fb88-4f85-ad21-13f3fd1fbca9", "git", "itemsBatch", "{project}/_apis/git/repositories/{repositoryId}/itemsBatch"),
	location("7b28e929-2c99-405d-9c5c-6167a06e6816", "git", "blobs", "{project}/_apis/git/repositories/{repositoryId}/blobs/{sha1}"),
	location("729f6437-6f92-44ec-8bee-273a7111063c", "git", "trees", "{project}/_apis/git/repositories/{repositoryId}/trees/{sha1}"),
	location("c2570c3b-5b3f-41b8-98bf-5407bfde8d58", "git", "commits", "{project}/_apis/git/repositories/{repositoryId}/commits/{commitId}"),
	location("6400dfb2-0bcb-462b-b992-5a57f8f1416c", "git", "commitsBatch", "{project}/_apis/git/repositories/{repositoryId}/commitsBatch"),
	location("5bf884f5-3e07-42e9-afb8-1b872267bf16", "git", "changes", "{project}/_apis/git/repositories/{repositoryId}/commits/{commitId}/changes"),
	location("7cf2abb6-c964-4f7e-9872-f78c66e72e9c", "git", "mergeBases", "{project}/_apis/git/repositories/{repositoryNameOrId}/commits/{commitId}/mergeBases"),
	location("985f7ae9-844f-4906-9897-7ef41516c0e2", "git", "merges", "{project}/_apis/git/repositories/{repositoryNameOrId}/merges/{mergeOperationId}"),
	location("615588d5-c0c7-4b88-88f8-e625306446e8", "git", "diffs", "{project}/_apis/git/repositories/{repositoryId}/diffs/commits"),
	location("2d874a60-a811-4f62-9c9f-963a6ea0a55b", "git", "refs", "{project}/_apis/git/repositories/{repositoryId}/refs/{*filter}"),
	location("d5b216de-d8d5-4d32-ae76-51df755b16d3", "git", "stats", "{project}/_apis/git/repositories/{repositoryId}/stats/branches"),
	location("ea98d07b-3c87-4971-8ede-a613694ffb55", "git", "pushes", "{project}/_apis/git/repositories/{repositoryId}/pushes/{pushId}"),
	location("5e8a8081-3851-4626-b677-9891cc04102e", "git", "annotatedTags", "{project}/_apis/git/repositories/{repositoryId}/annotatedTags/{objectId}"),
	location("a663da97-81db-4eb3-8b83-287670f63073", "git", "recycleBinRepositories", "{project}/_apis/git/recycleBin/repositories/{repositoryId}"),
	location("2b6869c4-cb25-42b5-b7a3-0d3e6be0a11a", "git", "deletedRepositories", "{project}/_apis/git/deletedrepositories"),
	location("01828ddc-3600-4a41-8633-99b3a73a0eb3", "git", "importRequests", "{project}/_apis/git/repositories/{repositoryId}/importRequests/{importRequestId}"),
	location("158c0340-bf6f-489c-9625-d572a1480d57", "git", "forks", "{project}/_apis/git/repositories/{repositoryNameOrId}/forks/{collectionId}"),
	location("1703f858-b9d1-46af-ab62-483e9e1055b5", "git", "forkSyncRequests", "{project}/_apis/git/repositories/{repositoryNameOrId}/forkSyncRequests/{forkSyncOperationId}"),
	location("9946fd70-0d40-406e-b686-b4744cbbcc37", "git", "pullRequests", "{project}/_apis/git/repositories/{repositoryId}/pullRequests/{pullRequestId}"),
	location("a5d28130-9cd2-40fa-9f08-902e7daa9efb", "git", "pullRequests", "{project}/_apis/git/pullRequests"),
	location("01a46dea-7d46-4d40-bc84-319e7c260d99", "git", "pullRequests", "{project}/_apis/git/pullRequests/{pullRequestId}"),
	location("4b6702c7-aa35-4b89-9c96-b9abf6d3e540", "git", "pullRequestReviewers", "{project}/_apis/git/repositories/{repositoryId}/pullRequests/{pullRequestId}/reviewers/{reviewerId}"),
	location("ab6e2e5d-a0b7-4153-b64a-a4efe0d49449", "git", "pullRequestThreads", "{project}/_apis/git/repositories/{repositoryId}/pullRequests/{pullRequestId}/threads/{threadId}"),
	location("965a3ec7-5ed8-455a-bdcb-835a5ea7fe7b", "git", "pullRequestThreadComments", "{project}/_apis/git/repositories/{repositoryId}/pullRequests/{pullRequestId}/threads/{threadId}/comments/{commentId}"),
	location("d43911ee-6958-46b0-a42b-8445b8a0d004", "git", "pullRequestIterations", "{project}/_apis/git/repositories/{repositoryId}/pullRequests/{pullRequestId}/iterations/{iterationId}"),
	location("52823034-34a8-4576-922c-8d8b77e9e4c4", "git", "pullRequestCommits", "{project}/_apis/git/repositories/{repositoryId}/pullRequests/{pullRequestId}/commits"),
	location("0a637fcc-5370-4ce8-b0e8-98091f5f9482", "git", "pullRequestWorkItems", "{project}/_apis/git/repositories/{repositoryId}/pullRequests/{pullRequestId}/workitems"),
	location("f22387e3-984e-4c52-9c6d-fbb8f14c812d", "git", "pullRequestLabels", "{project}/_apis/git/repositories/{repositoryId}/pullRequests/{pullRequestId}/labels/{labelIdOrName}"),
	location("5f2e2851-1389-425b-a00b-fb2adb3ef31b", "git", "pullRequestCommentLikes", "{project}/_apis/git/repositories/{repositoryId}/pullRequests/{pullRequestId}/threads/{threadId}/comments/{commentId}/likes"),
	location("965d9361-878b-413b-a494-45d5b5fd8ab7", "git", "pullRequestAttachments", "{project}/_apis/git/repositories/{repositoryId}/pullRequests/{pullRequestId}/attachments/{fileName}"),
	location("4216bdcf-b6b1-4d59-8b82-c34cc183fc8b", "git", "pullRequestIterationChanges", "{project}/_apis/git/repositories/{repositoryId}/pullRequests/{pullRequestId}/iterations/{iterationId}/changes"),
	location("e7ea0883-095f-4926-b5fb-f24691c26fb9", "git", "pullRequestIterationCommits", "{project}/_apis/git/repositories/{repositoryId}/pullRequests/{pullRequestId}/iterations/{iterationId}/commits"),
	location("75cf11c5-979f-4038-a76e-058a06adf2bf", "git", "pullRequestIterationStatuses", "{project}/_apis/git/repositories/{repositoryId}/pullRequests/{pullRequestId}/iterations/{iterationId}/statuses/{statusId}"),
	location("48a52185-5b9e-4736-9dc1-bb1e2feac80b", "git", "pullRequestProperties", "{project}/_apis/git/repositories/{repositoryId}/pullRequests/{pullRequestId}/properties"),
	location("696f3a82-47c9-487f-9117-b9d00972ca84", "git", "pullRequestShare", "{project}/_apis/git/repositories/{repositoryId}/pullRequests/{pullRequestId}/share"),
	location("b3a6eebe-9cf0-49ea-b6cb-1a4c5f5007b0", "git", "pullRequestQueries", "{project}/_apis/git/repositories/{repositoryId}/pullrequestquery"),
	location("9393b4fb-4445-4919-972b-9ad16f442d83", "git", "suggestions", "{project}/_apis/git/repositories/{repositoryId}/suggestions"),
	location("033bad68-9a14-43d1-90e0-59cb8856fef6", "git", "cherryPicks", "{project}/_apis/git/repositories/{repositoryId}/cherryPicks/{cherryPickId}"),
	location("bc866058-5449-4715-9cf1-a510b6ff193c", "git", "reverts", "{project}/_apis/git/repositories/{repositoryId}/reverts/{revertId}"),
	location("b5f6bb4f-8d1e-4d79-8d11-4c9172c99c35", "git", "pullRequestStatuses", "{project}/_apis/git/repositories/{repositoryId}/pullRequests/{pullRequestId}/statuses/{statusId}"),
	location("428dd4fb-fda5-4722-af02-9313b80305da", "git", "statuses", "{project}/_apis/git/repositories/{repositoryId}/commits/{commitId}/statuses"),
	location("2c420070-a0a2-49cc-9639-c9f271c5ff07", "git", "policyConfigurations", "{project}/_apis/git/policy/configurations"),
	location("dad91cbe-d183-45f8-9c6e-9c1164472121", "policy", "configurations", "{project}/_apis/policy/configurations/{configurationId}"),
	location("44096322-2d3d-466a-bb30-d1b7de69f61f", "policy", "types", "{project}/_apis/policy/types/{typeId}"),
	location("46aecb7a-5d2c-4647-897b-0209505a9fe4", "policy", "evaluations", "{project}/_apis/policy/evaluations/{evaluationId}"),
	location("c23ddff5-229c-4d04-a80b-0fdce9f360c8", "policy", "evaluations", "{project}/_apis/policy/evaluations"),
	location("28e1305e-2afe-47bf-abaf-cbb0e6a91988", "pipelines", "pipelines", "{project}/_apis/pipelines/{pipelineId}"),
	location("7859261e-d2e9-4a68-b820-a5d84cc5bb3d", "pipelines", "runs", "{project}/_apis/pipelines/{pipelineId}/runs/{runId}"),
	location("53df2d18-29ea-46a9-bee0-933540f80abf", "pipelines", "preview", "{project}/_apis/pipelines/{pipelineId}/preview"),
	location("86c8381e-5aee-4cde-8ae4-25c0c7f5eaea", "PipelinesChecks", "configurations", "{project}/_apis/pipelines/checks/configurations/{id}"),
	location("37794717-f36f-4d78-b2bf-4dc30d0cfbcd", "pipelinesApproval", "approvals", "{project}/_apis/pipelines/approvals/{approvalId}"),
	location("60aac929-f0cd-4bc8-9ce4-6b30e8f1b1bd", "distributedtask", "tasks", "_apis/distributedtask/tasks/{taskId}/{versionString}"),
	location("adcfd8bc-b184-43ba-bd84-7c8c6a2ff421", "distributedtask", "securefiles", "{project}/_apis/distributedtask/securefiles/{secureFileId}"),
	location("f5b09dd5-9d54-45a1-8b5a-1c8287d634cc", "distributedtask", "variablegroups", "{project}/_apis/distributedtask/variablegroups/{groupId}"),
	location("ef5b7057-ffc3-4c77-bbad-c10b4a4abcc7", "distributedtask", "variablegroups", "_apis/distributedtask/variablegroups/{groupId}"),
	location("0cd358e1-9217-4d94-8269-1c1ee6f93dcf", "build", "Builds", "{project}/_apis/build/builds/{buildId}"),
	location("dbeaf647-6167-421a-bda9-c9327b25e2e6", "build", "Definitions", "{project}/_apis/build/definitions/{definitionId}"),
	location("8baac422-4c6e-4de5-8532-db96d92acffa", "build", "Timeline", "{project}/_apis/build/builds/{buildId}/timeline/{timelineId}"),
	location("b8aac6c9-744b-46e1-88fc-3550969f9313", "build", "stages", "{project}/_apis/build/builds/{buildId}/stages/{stageRefName}"),
	location("35a80daf-7f30-45fc-86e8-6b813d9c90df", "build", "logs", "{project}/_apis/build/builds/{buildId}/logs/{logId}"),
	location("e85f1c62-adfc-4b74-b618-11a150fb195e", "serviceendpoint", "endpoints", "{project}/_apis/serviceendpoint/endpoints/{endpointId}"),
	location("14e48fdc-2c8b-41ce-a0c3-e26f6cc55bd0", "serviceendpoint", "endpoints", "_apis/serviceendpoint/endpoints/{endpointId}"),
	location("fc50d02a-849f-41fb-8af1-0a5216103269", "hooks", "subscriptions", "_apis/hooks/subscriptions/{subscriptionId}"),
	location("0c62d343-21b0-4732-997b-017fde84dc28", "hooks", "notifications", "_apis/hooks/subscriptions/{subscriptionId}/notifications/{notificationId}"),
	location("5a7938a4-655e-486c-b562-b78c54a7e87b", "serviceendpoint", "types", "_apis/serviceendpoint/types"),
	location("10a16738-9299-4cd1-9a81-fd23ad6200d0", "serviceendpoint", "executionhistory", "{project}/_apis/serviceendpoint/{endpointId}/executionhistory"),
	location("b5b9a4a4-e6cd-4096-853c-ab7d8b0c4eb2", "pipelinePermissions", "pipelinePermissions", "{project}/_apis/pipelines/pipelinePermissions/{resourceType}/{resourceId}"),
	location("dadb46e7-5851-4c72-820e-ae8abb82f59f", "build", "retention", "{project}/_apis/build/retention"),
	location("272051e4-9af1-45b5-ae22-8d960a5539d4", "build", "leases", "{project}/_apis/build/retention/leases/{leaseId}"),
	location("3da19a6a-f088-45c4-83ce-2ad3a87be6c4", "build", "leases", "{project}/_apis/build/builds/{buildId}/leases"),
	location("398c85bc-81aa-4822-947c-a194a05f0fef", "build", "authorizedresources", "{project}/_apis/build/authorizedresources"),
	location("f2192269-89fa-4f94-baf6-8fb128c55159", "build", "attachments", "{project}/_apis/build/builds/{buildId}/attachments/{type}"),
	location("af5122d3-3438-485e-a25a-2dbbfde84ee6", "build", "attachments", "{project}/_apis/build/builds/{buildId}/{timelineId}/{recordId}/attachments/{type}/{name}"),
	location("cadb3810-d47d-4a3c-a234-fe5f3be50138", "test", "runs", "{project}/_apis/test/runs/{runId}"),
	location("4f004af4-a507-489c-9b13-cb62060beb11", "test", "attachments", "{project}/_apis/test/Runs/{runId}/attachments/{attachmentId}"),
	location("4637d869-3a76-4468-8057-0bb02aa385cf", "test", "results", "{project}/_apis/test/Runs/{runId}/results/{testCaseResultId}"),
	location("6e6114b2-8161-44c8-8f6c-c5505782427f", "build", "tags", "{project}/_apis/build/builds/{buildId}/tags/{tag}"),
	location("d84ac5c6-edc7-43d5-adc9-1b34be5dea09", "build", "tags", "{project}/_apis/build/tags"),
	location("72c7ddf8-2cdc-4f60-90cd-ab71c14a399b", "wit", "workItems", "{project}/_apis/wit/workItems/{id}"),
	location("62d3d110-0047-428c-ad3c-4fe872c91c74", "wit", "workItems", "{project}/_apis/wit/workItems/${type}"),
	location("b51fd764-e5c2-4b9b-aaf7-3395cf4bdd94", "wit", "fields", "{project}/_apis/wit/fields/{fieldNameOrRefName}"),
	location("908509b6-4248-4475-a1cd-829139ba419f", "wit", "workItemsBatch", "{project}/_apis/wit/workItemsBatch"),
	location("608aac0a-32e1-4493-a863-b9cf4566d257", "wit", "comments", "{project}/_apis/wit/workItems/{workItemId}/comments/{commentId}"),
	location("1a9c53f7-f243-4447-b110-35ef023636e4", "wit", "wiql", "{project}/_apis/wit/wiql"),
	location("7c8d7a76-4a09-43e8-b5df-bd792f4ac6aa", "wit", "workItemTypes", "{project}/_apis/wit/workItemTypes/{type}"),
	location("7c9d7a76-4a09-43e8-b5df-bd792f4ac6aa", "wit", "states", "{project}/_apis/wit/workItemTypes/{type}/states"),
	location("4e5fa14f-7097-4b73-9c85-00abc7353c61", "audit", "AuditLog", "_apis/audit/auditlog"),
	location("1db06c96-014e-44e1-ac91-90b2d4b3e984", "build", "artifacts", "{project}/_apis/build/builds/{buildId}/artifacts"),
}

// location has the versions with which clients send the one that they were made for, of which nothing depends here.
func location(id, area, name, template string) Location {
	return Location{ID: id, Area: area, ResourceName: name, RouteTemplate: template, ResourceVersion: 9, MinVersion: "1.0", MaxVersion: "7.2", ReleasedVersion: "7.1"}
}

// addLocations serves what clients ask before anything else.
func (s *Server) addLocations() {
	s.anybody("OPTIONS", "", s.listLocations)
	s.anybody("OPTIONS", "/{area}", s.listLocations)
	// As servers on people's own premises do: every area is at the one address.
	s.anybody("GET", "/resourceAreas", func(w http.ResponseWriter, _ request) error {
		httpx.WriteJSON(w, http.StatusOK, map[string]any{"count": 0, "value": nil})
		return nil
	})
	s.anybody("GET", "/connectionData", s.connectionData)
	s.installation("GET", "/projects", identity.Read, s.listProjects)
	s.installation("GET", "/projects/{project}", identity.Read, s.getProject)
}

func (s *Server) listLocations(w http.ResponseWriter, r request) error {
	area := chi.URLParam(r.Request, "area")
	out := []Location{}
	for _, l := range locations {
		if area == "" || strings.EqualFold(l.Area, area) {
			out = append(out, l)
		}
	}
	return list(w, out)
}

// userSpace makes the GUIDs by which clients know those who call.
var userSpace = uuid.MustParse(variable.CollectionID)

// connectionData says who calls.
func (s *Server) connectionData(w http.ResponseWriter, r request) error {
	id := r.caller.Actor.ID
	if _, err := uuid.Parse(id); err != nil {
		id = uuid.NewSHA1(userSpace, []byte(string(r.caller.Kind)+"/"+id)).String()
	}
	who := map[string]any{"id": id, "providerDisplayName": r.caller.Actor.Name, "customDisplayName": r.caller.Actor.Name, "isActive": true,
		"properties": map[string]any{"Account": map[string]string{"$type": "System.String", "$value": r.caller.Actor.Name}}}
	httpx.WriteJSON(w, http.StatusOK, map[string]any{"authenticatedUser": who, "authorizedUser": who, "instanceId": userSpace.String(), "deploymentType": "onPremises",
		"locationServiceData": map[string]any{"serviceOwner": userSpace.String(), "defaultAccessMappingMoniker": "PublicAccessMapping"}})
	return nil
}

// TeamProject is a project as Azure DevOps' core area shows it.
type TeamProject struct {
	ID             string `json:"id"`
	Name           string `json:"name"`
	Description    string `json:"description,omitempty"`
	URL            string `json:"url"`
	State          string `json:"state"` // wellFormed
	Visibility     string `json:"visibility"`
	LastUpdateTime string `json:"lastUpdateTime"`
}

func (s *Server) teamProject(p identity.Project) TeamProject {
	return TeamProject{ID: string(p.ID), Name: p.Name, Description: p.Description, URL: s.url + "/_apis/projects/" + string(p.ID), State: "wellFormed", Visibility: "private",
		LastUpdateTime: p.Created.UTC().Format("2006-01-02T15:04:05.999Z")}
}

// listProjects lists those that the caller may read.
func (s *Server) listProjects(w http.ResponseWriter, r request) error {
	all, err := s.identity.Projects(r.Context(), r.caller)
	if err != nil {
		return err
	}
	var out []TeamProject
	for _, p := range all {
		out = append(out, s.teamProject(p))
	}
	return list(w, out)
}

func (s *Server) getProject(w http.ResponseWriter, r request) error {
	p, err := s.identity.ProjectByName(r.Context(), chi.URLParam(r.Request, "project"))
	if err == nil {
		err = s.identity.Authorize(r.Context(), r.caller, identity.Read, p.ID)
	}
	if slipway.CodeOf(err) == slipway.CodeForbidden {
		err = slipway.NotFound("there is no project %q", chi.URLParam(r.Request, "project"))
	}
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, s.teamProject(p))
	return nil
}
