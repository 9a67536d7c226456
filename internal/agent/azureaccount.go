package agent

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"slipway/internal/pipelines/job"
)

// azureAccount is who a service connection to Azure signs in as.
type azureAccount struct {
	Tenant       string `json:"tenant"`
	Application  string `json:"application"`
	Key          string `json:"key,omitempty"`
	Token        string `json:"token,omitempty"` // in place of a key: the job's identity token
	Environment  string `json:"environment"`
	Subscription string `json:"subscription,omitempty"` // "" for a connection to a management group
}

// azureAccount reads a connection. What signs in is masked from then on.
func (t *task) azureAccount(c *job.Connection) (azureAccount, error) {
	a := azureAccount{Tenant: c.Parameter("tenantid"), Application: c.Parameter("serviceprincipalid"), Environment: cmp.Or(c.Datum("environment"), "AzureCloud")}
	if !strings.EqualFold(c.Datum("scopeLevel"), "ManagementGroup") {
		a.Subscription = c.Datum("subscriptionId")
	}
	var err error
	switch kind := c.Parameter("authenticationType"); {
	case strings.EqualFold(c.Scheme, "ManagedServiceIdentity"):
		err = errors.New("a managed identity is that of a machine of Azure, which this is not: use the scheme ServicePrincipal or WorkloadIdentityFederation")
	case a.Tenant == "" || a.Application == "":
		err = errors.New("it has no tenantid or no serviceprincipalid: give both")
	case strings.EqualFold(c.Scheme, "WorkloadIdentityFederation"):
		if a.Token, err = t.identityToken(c.ID); err == nil && a.Token == "" {
			err = errors.New("only a server issues the job's identity token, by which it signs in")
		}
	case kind != "" && !strings.EqualFold(kind, "spnKey"):
		err = fmt.Errorf("its service principal signs in by %s, and only a key is taken here (serviceprincipalkey)", kind)
	default:
		if a.Key = c.Parameter("serviceprincipalkey"); a.Key == "" {
			err = errors.New("it has no serviceprincipalkey, the key of its service principal")
		}
		t.mask.Add(a.Key)
	}
	if err != nil {
		return a, fmt.Errorf("service connection %q: %w", c.Name, err)
	}
	return a, nil
}

// variables are those that a script sees of a connection that signs in by an identity token, as in Azure.
func (a azureAccount) variables(connection string) map[string]string {
	if a.Token == "" {
		return nil
	}
	return map[string]string{"AZURESUBSCRIPTION_SERVICE_CONNECTION_ID": connection, "AZURESUBSCRIPTION_CLIENT_ID": a.Application, "AZURESUBSCRIPTION_TENANT_ID": a.Tenant}
}
