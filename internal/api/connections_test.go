package api_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/pipelinepermissions"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/serviceendpoint"

	"slipway"
	"slipway/internal/api"
	"slipway/internal/identity"
)

func to[T any](v T) *T { return &v }

// Azure DevOps' own Go client makes, finds, changes and deletes service connections, as Terraform's provider does with it.
func TestServiceEndpointClient(t *testing.T) {
	t.Parallel()
	w, s, token := pipelineWorld(t)
	ctx, project := t.Context(), "Shop"
	connection := azuredevops.NewPatConnection(w.url, token)
	c := must[serviceendpoint.Client](t)(serviceendpoint.NewClient(ctx, connection))
	reference := &[]serviceendpoint.ServiceEndpointProjectReference{{Name: to("hub"), Description: to("Our images"),
		ProjectReference: &serviceendpoint.ProjectReference{Id: to(uuid.MustParse(string(w.project.ID)))}}}
	endpoint := serviceendpoint.ServiceEndpoint{Name: to("hub"), Type: to("dockerregistry"), Url: to("https://hub.docker.com/"), Owner: to("library"), Data: &map[string]string{"registrytype": "Others"},
		Authorization: &serviceendpoint.EndpointAuthorization{Scheme: to("UsernamePassword"), Parameters: &map[string]string{
			"registry": "https://index.docker.io/v1/", "username": "ada", "password": "hunter2hunter2", "email": ""}},
		ServiceEndpointProjectReferences: reference}
	made := must[*serviceendpoint.ServiceEndpoint](t)(c.CreateServiceEndpoint(ctx, serviceendpoint.CreateServiceEndpointArgs{Endpoint: &endpoint}))
	if *made.Description != "Our images" || !*made.IsReady || (*made.Authorization.Parameters)["username"] != "ada" || (*made.Authorization.Parameters)["password"] != "" {
		t.Errorf("made %+v, %+v", made, made.Authorization.Parameters)
	}
	if got := *(*made.ServiceEndpointProjectReferences)[0].ProjectReference.Id; got.String() != string(w.project.ID) {
		t.Errorf("project %s", got)
	}
	found := must[*serviceendpoint.ServiceEndpoint](t)(c.GetServiceEndpointDetails(ctx, serviceendpoint.GetServiceEndpointDetailsArgs{Project: &project, EndpointId: made.Id}))
	if *found.Name != "hub" || *found.Type != "dockerregistry" || *found.Owner != "library" {
		t.Errorf("found %+v", found)
	}
	list := *must[*[]serviceendpoint.ServiceEndpoint](t)(c.GetServiceEndpointsByNames(ctx, serviceendpoint.GetServiceEndpointsByNamesArgs{Project: &project, EndpointNames: &[]string{"other", "HUB"}}))
	if len(list) != 1 || *list[0].Id != *made.Id {
		t.Errorf("by name %+v", list)
	}
	list = *must[*[]serviceendpoint.ServiceEndpoint](t)(c.GetServiceEndpoints(ctx, serviceendpoint.GetServiceEndpointsArgs{Project: &project, Type: to("kubernetes")}))
	if len(list) != 0 {
		t.Errorf("by type %+v", list)
	}
	types := *must[*[]serviceendpoint.ServiceEndpointType](t)(c.GetServiceEndpointTypes(ctx, serviceendpoint.GetServiceEndpointTypesArgs{Type: to("ssh")}))
	if len(types) != 1 || *types[0].DisplayName != "SSH" {
		t.Errorf("types %+v", types)
	}

	// What the client got it sends back, with another name and without the password.
	found.Name = to("images")
	(*found.ServiceEndpointProjectReferences)[0].Name = to("images")
	changed := must[*serviceendpoint.ServiceEndpoint](t)(c.UpdateServiceEndpoint(ctx, serviceendpoint.UpdateServiceEndpointArgs{Endpoint: found, EndpointId: made.Id}))
	if *changed.Name != "images" || *changed.Id != *made.Id {
		t.Errorf("changed %+v", changed)
	}

	p := must[pipelinepermissions.Client](t)(pipelinepermissions.NewClient(ctx, connection))
	resource := pipelinepermissions.UpdatePipelinePermisionsForResourceArgs{Project: &project, ResourceType: to("endpoint"), ResourceId: to(made.Id.String()),
		ResourceAuthorization: &pipelinepermissions.ResourcePipelinePermissions{Pipelines: &[]pipelinepermissions.PipelinePermission{{Id: to(1), Authorized: to(true)}}}}
	may := must[*pipelinepermissions.ResourcePipelinePermissions](t)(p.UpdatePipelinePermisionsForResource(ctx, resource))
	if may.AllPipelines != nil || len(*may.Pipelines) != 1 || *(*may.Pipelines)[0].Id != 1 {
		t.Errorf("permissions %+v", may)
	}
	resource.ResourceAuthorization = &pipelinepermissions.ResourcePipelinePermissions{AllPipelines: &pipelinepermissions.Permission{Authorized: to(true)},
		Pipelines: &[]pipelinepermissions.PipelinePermission{{Id: to(1), Authorized: to(false)}}}
	must[*pipelinepermissions.ResourcePipelinePermissions](t)(p.UpdatePipelinePermisionsForResource(ctx, resource))
	may = must[*pipelinepermissions.ResourcePipelinePermissions](t)(p.GetPipelinePermissionsForResource(ctx, pipelinepermissions.GetPipelinePermissionsForResourceArgs{
		Project: &project, ResourceType: to("endpoint"), ResourceId: to(made.Id.String())}))
	if may.AllPipelines == nil || !*may.AllPipelines.Authorized || len(*may.Pipelines) != 0 {
		t.Errorf("permissions %+v", may)
	}
	stored, err := s.Connection(ctx, w.project.ID, "images")
	if err != nil || !stored.AllPipelines || len(stored.Pipelines) != 0 {
		t.Errorf("stored %+v, %v", stored, err)
	}

	if err := c.DeleteServiceEndpoint(ctx, serviceendpoint.DeleteServiceEndpointArgs{EndpointId: made.Id, ProjectIds: &[]string{string(w.project.ID)}}); err != nil {
		t.Fatal(err)
	}
	gone := must[*serviceendpoint.ServiceEndpoint](t)(c.GetServiceEndpointDetails(ctx, serviceendpoint.GetServiceEndpointDetailsArgs{Project: &project, EndpointId: made.Id}))
	if gone.Id != nil {
		t.Errorf("deleted and found: %+v", gone)
	}
	if _, err := s.Connection(ctx, w.project.ID, "images"); slipway.CodeOf(err) != slipway.CodeNotFound {
		t.Errorf("deleted and stored: %v", err)
	}
}

func TestServiceEndpoints(t *testing.T) {
	t.Parallel()
	w, s, token := pipelineWorld(t)
	const path = "/Shop/_apis/serviceendpoint/endpoints"
	// As `az devops service-endpoint create --service-endpoint-configuration` sends it, with the project in the path.
	const hooks = `{"name": "hooks", "type": "generic", "url": "https://hooks.example", "groupScopeId": null, "operationStatus": null,
		"authorization": {"scheme": "UsernamePassword", "parameters": {"username": "ada", "password": "hunter2hunter2"}}, "data": {}}`
	var made, again api.ServiceEndpoint
	w.call(token, http.MethodPost, path+"?api-version=7.1-preview.4", hooks, http.StatusOK, &made)
	w.call(token, http.MethodPost, path, hooks, http.StatusConflict, nil)
	w.call(token, http.MethodPost, "/_apis/serviceendpoint/endpoints", hooks, http.StatusBadRequest, nil) // for which project?
	contributor := w.member("carl", identity.RoleContributor)
	w.call(contributor, http.MethodGet, path+"/"+made.ID, "", http.StatusOK, &again)
	if diff := cmp.Diff(made, again); diff != "" {
		t.Error(diff)
	}
	if again.Authorization.Parameters["password"] != nil || *again.Authorization.Parameters["username"] != "ada" {
		t.Errorf("a contributor sees %+v", again.Authorization.Parameters)
	}
	other := "/_apis/serviceendpoint/endpoints/" + made.ID
	for _, one := range [][3]string{{http.MethodPost, path, hooks}, {http.MethodPut, path + "/" + made.ID, hooks}, {http.MethodDelete, path + "/" + made.ID, ""},
		{http.MethodPut, other, hooks}, {http.MethodDelete, other, ""},
		{http.MethodPatch, "/Shop/_apis/pipelines/pipelinepermissions/endpoint/" + made.ID, "{}"}, {http.MethodPatch, "/Shop/_apis/build/authorizedresources", "[]"}} {
		w.call(contributor, one[0], one[1], one[2], http.StatusForbidden, nil)
	}
	w.call(token, http.MethodPatch, "/Shop/_apis/build/authorizedresources", `[{"type": "endpoint", "id": "`+made.ID+`", "name": "x", "authorized": true}]`, http.StatusOK, nil)
	if c, err := s.Connection(t.Context(), w.project.ID, "hooks"); err != nil || !c.AllPipelines {
		t.Errorf("%+v, %v", c, err)
	}
	w.call(token, http.MethodGet, "/Shop/_apis/pipelines/pipelinepermissions/environment/1", "", http.StatusBadRequest, nil)
	w.call(token, http.MethodDelete, other+"?projectIds="+string(w.project.ID)+"x", "", http.StatusBadRequest, nil)
	w.call(token, http.MethodDelete, other, "", http.StatusNoContent, nil)
	w.call(token, http.MethodDelete, other, "", http.StatusNotFound, nil)
}
