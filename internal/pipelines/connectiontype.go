package pipelines

import (
	"errors"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"slipway"
)

// ConnectionType is a kind of service connection that Slipway knows. Others are kept as they are, for tasks of extensions.
type ConnectionType struct {
	Name     string // Azure's, in lower case
	Title    string
	URL      string // when none is given
	NeedsURL bool
	// Schemes are the ways to authorize, the usual one first.
	Schemes []ConnectionScheme
	// Data are names of what belongs to it beside the authorization.
	Data []string
}

// ConnectionScheme is one way to authorize.
type ConnectionScheme struct {
	Name string
	// Parameters are those that it takes, the needed ones first.
	Parameters []string
	Needed     int
}

var (
	byPassword = ConnectionScheme{"UsernamePassword", []string{"username", "password"}, 2}
	byUser     = ConnectionScheme{"UsernamePassword", []string{"username", "password"}, 0} // a public one has neither
	byToken    = ConnectionScheme{"Token", []string{"apitoken"}, 1}
	byNothing  = ConnectionScheme{"None", nil, 0}
)

// connectionTypes are by Azure DevOps' names for them, with its names of parameters. The slice is never changed.
var connectionTypes = []ConnectionType{
	{Name: "dockerregistry", Title: "Docker registry", URL: "https://index.docker.io/v1/", Schemes: []ConnectionScheme{
		{"UsernamePassword", []string{"registry", "username", "password", "email"}, 0}, {"ServicePrincipal", []string{"loginServer", "serviceprincipalid", "serviceprincipalkey", "tenantId", "role", "scope"}, 0}}},
	{Name: "kubernetes", Title: "Kubernetes", NeedsURL: true, Schemes: []ConnectionScheme{
		{"Kubernetes", []string{"kubeconfig", "clusterContext"}, 1}, {"Token", []string{"apiToken", "serviceAccountCertificate"}, 1}},
		Data: []string{"acceptUntrustedCerts", "namespace"}},
	{Name: "generic", Title: "Generic", NeedsURL: true, Schemes: []ConnectionScheme{byUser, {"Token", []string{"apitoken"}, 0}, byNothing}},
	{Name: "ssh", Title: "SSH", Schemes: []ConnectionScheme{byUser}, Data: []string{"Host", "Port", "PrivateKey", "HostKey"}},
	{Name: "github", Title: "GitHub", URL: "https://github.com", Schemes: []ConnectionScheme{
		{"PersonalAccessToken", []string{"accessToken"}, 1}, {"Token", []string{"AccessToken"}, 1}, {"OAuth", []string{"AccessToken", "ConfigurationId"}, 0}, {"InstallationToken", nil, 0}}},
	{Name: "githubenterprise", Title: "GitHub Enterprise Server", NeedsURL: true, Schemes: []ConnectionScheme{{"Token", []string{"apitoken"}, 1}, {"PersonalAccessToken", []string{"accessToken"}, 1}, byPassword}},
	{Name: "bitbucket", Title: "Bitbucket Cloud", URL: "https://api.bitbucket.org", Schemes: []ConnectionScheme{byPassword, {"OAuth", []string{"AccessToken"}, 0}}},
	{Name: "externalgit", Title: "Other git", NeedsURL: true, Schemes: []ConnectionScheme{byUser, {"Token", []string{"apitoken"}, 1}, byNothing}},
	{Name: "git", Title: "Azure Repos", NeedsURL: true, Schemes: []ConnectionScheme{byUser, {"Token", []string{"apitoken"}, 1}}},
	{Name: "externalnpmregistry", Title: "npm", NeedsURL: true, Schemes: []ConnectionScheme{byToken, byPassword}},
	{Name: "externalnugetfeed", Title: "NuGet", NeedsURL: true, Schemes: []ConnectionScheme{byToken, byPassword, {"None", []string{"nugetkey"}, 0}}},
	{Name: "externalpythondownloadfeed", Title: "Python, for download", NeedsURL: true, Schemes: []ConnectionScheme{byPassword, byToken}},
	{Name: "externalpythonuploadfeed", Title: "Python, for upload", NeedsURL: true, Schemes: []ConnectionScheme{byPassword, byToken}, Data: []string{"EndpointName"}},
	{Name: "externalmavenrepository", Title: "Maven", NeedsURL: true, Schemes: []ConnectionScheme{byPassword, byToken}, Data: []string{"RepositoryId"}},
	{Name: "azurerm", Title: "Azure Resource Manager", URL: "https://management.azure.com/", Schemes: []ConnectionScheme{
		{"ServicePrincipal", []string{"tenantid", "serviceprincipalid", "authenticationType", "serviceprincipalkey"}, 0},
		{"WorkloadIdentityFederation", []string{"tenantid", "serviceprincipalid"}, 0}, {"ManagedServiceIdentity", []string{"tenantid"}, 0}},
		Data: []string{"subscriptionId", "subscriptionName", "environment", "scopeLevel"}},
}

// ConnectionTypes are the types that Slipway knows, those that are met most first.
func ConnectionTypes() []ConnectionType { return slices.Clone(connectionTypes) }

func connectionType(name string) *ConnectionType {
	for i := range connectionTypes {
		if connectionTypes[i].Name == name {
			return &connectionTypes[i]
		}
	}
	return nil
}

func connectionTypeNames() []string {
	list := make([]string, len(connectionTypes))
	for i := range connectionTypes {
		list[i] = connectionTypes[i].Name
	}
	return list
}

// checkScheme says which parameter is missing.
func (t *ConnectionType) checkScheme(c *Connection, secrets connectionSecrets) error {
	var names []string
	for _, scheme := range t.Schemes {
		names = append(names, scheme.Name)
		if !strings.EqualFold(scheme.Name, c.Scheme) {
			continue
		}
		for _, name := range scheme.Parameters[:scheme.Needed] {
			open, _ := partOf(c.Parameters, name)
			if secret, _ := partOf(secrets.Parameters, name); open == "" && secret == "" {
				return slipway.Invalid("a service connection of type %s with scheme %s needs the parameter %s", t.Name, scheme.Name, name)
			}
		}
		if t.Name == "ssh" {
			if host, _ := partOf(c.Data, "Host"); host == "" {
				return slipway.Invalid("a service connection of type ssh needs the data Host")
			}
		}
		return nil
	}
	return slipway.Invalid("scheme %q of a service connection of type %s: write %s", c.Scheme, t.Name, strings.Join(names, " or "))
}

// openParameters are those that are no secrets, in lower case; every other one is. The slice is never changed.
var openParameters = []string{"username", "registry", "email", "loginserver", "tenantid", "serviceprincipalid", "authenticationtype", "clustercontext", "azureenvironment",
	"azuretenantid", "azuresubscriptionid", "azuresubscriptionname", "clusterid", "rolebindingname", "role", "scope", "configurationid", "authtype", "workloadidentityfederationsubject",
	"workloadidentityfederationissuer", "acceptuntrustedcerts"}

// SecretParameter reports whether a parameter of an authorization is never shown.
func SecretParameter(name string) bool {
	return !slices.Contains(openParameters, strings.ToLower(name))
}

// SecretDatum reports whether a datum is a secret all the same: Azure keeps the private key of SSH there.
func SecretDatum(name string) bool {
	lower := strings.ToLower(name)
	return lower == "privatekey" || strings.Contains(lower, "password") || strings.Contains(lower, "secret") || strings.HasSuffix(lower, "token")
}

// partition parts what may be shown from what is secret, of which "" is left in its place. Secrets that are kept fill in those
// that are not given.
func partition(given, kept map[string]string, secret func(string) bool) (open, secrets map[string]string) {
	open, secrets = map[string]string{}, map[string]string{}
	for name, value := range kept {
		if secret(name) {
			open[name], secrets[name] = "", value
		}
	}
	for name, value := range given {
		if !secret(name) {
			open[name] = value
			continue
		}
		for _, other := range slices.Collect(maps.Keys(secrets)) {
			if strings.EqualFold(other, name) && other != name {
				secrets[name] = secrets[other]
				delete(secrets, other)
				delete(open, other)
			}
		}
		open[name] = ""
		if value != "" {
			secrets[name] = value
		}
	}
	for name := range open {
		if secret(name) && secrets[name] == "" {
			delete(open, name)
			delete(secrets, name)
		}
	}
	return open, secrets
}

var connectionTypeName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9._:-]{0,99}$`) })

// check says what is wrong with a connection, and makes its texts as they are stored.
func (c *Connection) check(secrets connectionSecrets) error {
	c.Name, c.Type, c.URL, c.Scheme = strings.TrimSpace(c.Name), strings.ToLower(strings.TrimSpace(c.Type)), strings.TrimSpace(c.URL), strings.TrimSpace(c.Scheme)
	switch {
	case c.Name == "" || len(c.Name) > maxConnectionName || strings.ContainsAny(c.Name, "\x00\n\r\t,$") || strings.Contains(c.Name, "://"):
		return slipway.Invalid("service connection name %q: use up to %d characters without commas, $ and ://", c.Name, maxConnectionName)
	case !connectionTypeName().MatchString(c.Type):
		return slipway.Invalid("type %q of a service connection: write one of %s", c.Type, strings.Join(connectionTypeNames(), ", "))
	case len(c.Description) > 4<<10 || len(c.URL) > 4<<10 || len(c.Scheme) > 100:
		return slipway.Limit("the description and the URL of a service connection have up to %d bytes, its scheme 100", 4<<10)
	case len(c.Parameters) > maxConnectionParts || len(c.Data) > maxConnectionParts:
		return slipway.Limit("a service connection has at most %d parameters and as many data", maxConnectionParts)
	}
	for _, parts := range []map[string]string{c.Parameters, c.Data, secrets.Parameters, secrets.Data} {
		for name, value := range parts {
			if strings.TrimSpace(name) == "" || len(name) > 100 || len(value) > maxConnectionText {
				return slipway.Limit("parameter %q: a name has up to 100 characters, a value up to %d bytes", name, maxConnectionText)
			}
		}
	}
	t := connectionType(c.Type)
	if t == nil {
		return c.checkURL(false)
	}
	if c.URL == "" {
		c.URL = t.URL
	}
	if c.Scheme == "" {
		c.Scheme = t.Schemes[0].Name
	}
	return errors.Join(c.checkURL(t.NeedsURL), t.checkScheme(c, secrets))
}

func (c *Connection) checkURL(needed bool) error {
	if c.URL == "" && !needed {
		return nil
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme == "" || needed && u.Host == "" {
		return slipway.Invalid("URL %q of service connection %q: write a whole one, as https://example.com", c.URL, c.Name)
	}
	if u.User != nil {
		return slipway.Invalid("the URL of service connection %q names a user: write user and password as parameters", c.Name)
	}
	return nil
}
