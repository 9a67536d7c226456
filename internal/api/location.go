package api

import (
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
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
	location("603fe2ac-9723-48b9-88ad-09305aa6c6e1", "core", "projects", "_apis/projects/{*projectId}"),
	location("225f7195-f9c7-4d14-ab28-a83f7ff77e1f", "git", "repositories", "{project}/_apis/git/repositories/{repositoryId}"),
	location("9946fd70-0d40-406e-b686-b4744cbbcc37", "git", "pullRequests", "{project}/_apis/git/repositories/{repositoryId}/pullRequests/{pullRequestId}"),
	location("a5d28130-9cd2-40fa-9f08-902e7daa9efb", "git", "pullRequests", "{project}/_apis/git/pullRequests"),
	location("01a46dea-7d46-4d40-bc84-319e7c260d99", "git", "pullRequests", "{project}/_apis/git/pullRequests/{pullRequestId}"),
	location("4b6702c7-aa35-4b89-9c96-b9abf6d3e540", "git", "pullRequestReviewers", "{project}/_apis/git/repositories/{repositoryId}/pullRequests/{pullRequestId}/reviewers/{reviewerId}"),
	location("ab6e2e5d-a0b7-4153-b64a-a4efe0d49449", "git", "pullRequestThreads", "{project}/_apis/git/repositories/{repositoryId}/pullRequests/{pullRequestId}/threads/{threadId}"),
	location("965a3ec7-5ed8-455a-bdcb-835a5ea7fe7b", "git", "pullRequestThreadComments", "{project}/_apis/git/repositories/{repositoryId}/pullRequests/{pullRequestId}/threads/{threadId}/comments/{commentId}"),
	location("d43911ee-6958-46b0-a42b-8445b8a0d004", "git", "pullRequestIterations", "{project}/_apis/git/repositories/{repositoryId}/pullRequests/{pullRequestId}/iterations/{iterationId}"),
	location("52823034-34a8-4576-922c-8d8b77e9e4c4", "git", "pullRequestCommits", "{project}/_apis/git/repositories/{repositoryId}/pullRequests/{pullRequestId}/commits"),
	location("0a637fcc-5370-4ce8-b0e8-98091f5f9482", "git", "pullRequestWorkItems", "{project}/_apis/git/repositories/{repositoryId}/pullRequests/{pullRequestId}/workitems"),
	location("28e1305e-2afe-47bf-abaf-cbb0e6a91988", "pipelines", "pipelines", "{project}/_apis/pipelines/{pipelineId}"),
	location("7859261e-d2e9-4a68-b820-a5d84cc5bb3d", "pipelines", "runs", "{project}/_apis/pipelines/{pipelineId}/runs/{runId}"),
	location("53df2d18-29ea-46a9-bee0-933540f80abf", "pipelines", "preview", "{project}/_apis/pipelines/{pipelineId}/preview"),
	location("37794717-f36f-4d78-b2bf-4dc30d0cfbcd", "pipelinesApproval", "approvals", "{project}/_apis/pipelines/approvals/{approvalId}"),
	location("0cd358e1-9217-4d94-8269-1c1ee6f93dcf", "build", "Builds", "{project}/_apis/build/builds/{buildId}"),
	location("dbeaf647-6167-421a-bda9-c9327b25e2e6", "build", "Definitions", "{project}/_apis/build/definitions/{definitionId}"),
	location("8baac422-4c6e-4de5-8532-db96d92acffa", "build", "Timeline", "{project}/_apis/build/builds/{buildId}/timeline/{timelineId}"),
	location("b8aac6c9-744b-46e1-88fc-3550969f9313", "build", "stages", "{project}/_apis/build/builds/{buildId}/stages/{stageRefName}"),
	location("35a80daf-7f30-45fc-86e8-6b813d9c90df", "build", "logs", "{project}/_apis/build/builds/{buildId}/logs/{logId}"),
	location("1db06c96-014e-44e1-ac91-90b2d4b3e984", "build", "artifacts", "{project}/_apis/build/builds/{buildId}/artifacts"),
}

// location has the versions with which clients send the one that they were made for, of which nothing depends here.
func location(id, area, name, template string) Location {
	return Location{ID: id, Area: area, ResourceName: name, RouteTemplate: template, ResourceVersion: 9, MinVersion: "1.0", MaxVersion: "7.2", ReleasedVersion: "7.1"}
}

// addLocations serves what clients ask before anything else.
func (s *Server) addLocations() {
	s.installation("OPTIONS", "", identity.Read, s.listLocations)
	s.installation("OPTIONS", "/{area}", identity.Read, s.listLocations)
	for _, name := range []string{"/ResourceAreas", "/resourceAreas", "/resourceareas"} {
		// As servers on people's own premises do: every area is at the one address.
		s.installation("GET", name, identity.Read, func(w http.ResponseWriter, _ request) error {
			httpx.WriteJSON(w, http.StatusOK, map[string]any{"count": 0, "value": nil})
			return nil
		})
	}
	for _, name := range []string{"/connectionData", "/ConnectionData"} {
		s.installation("GET", name, identity.Read, s.connectionData)
	}
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
var userSpace = uuid.MustParse("a3f6c3de-58c1-4b0f-9c9d-2f2f7a1d9b14")

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
