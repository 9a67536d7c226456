package job

import (
	"net/url"
	"strings"
)

// DockerHub is the URL by which clients of Docker name Docker's own registry.
const DockerHub = "https://index.docker.io/v1/"

// Parameter is a parameter of the authorization by its name in any case, "" without one.
func (c *Connection) Parameter(name string) string { return valueOf(c.Parameters, name) }

// Datum is one of Data by its name in any case, "" without one.
func (c *Connection) Datum(name string) string { return valueOf(c.Data, name) }

func valueOf(values map[string]string, name string) string {
	for key, value := range values {
		if strings.EqualFold(key, name) {
			return value
		}
	}
	return ""
}

// Credentials are the user and the password or token of the authorization; both are "" without one.
func (c *Connection) Credentials() (user, password string) {
	user, password = c.Parameter("username"), c.Parameter("password")
	for _, name := range []string{"apitoken", "accessToken"} {
		if password == "" {
			password = c.Parameter(name)
		}
	}
	if strings.EqualFold(c.Scheme, "ServicePrincipal") && password == "" {
		user, password = c.Parameter("serviceprincipalid"), c.Parameter("serviceprincipalkey")
	}
	return user, password
}

// RegistryHost is the host of a registry's connection as images name it: docker.io for Docker Hub, and else HOST or HOST:PORT.
func (c *Connection) RegistryHost() string {
	for _, text := range []string{c.Parameter("registry"), c.Parameter("loginServer"), c.URL} {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		if u, err := url.Parse(text); err == nil && u.Host != "" {
			text = u.Host
		}
		if host := strings.ToLower(strings.TrimRight(text, "/")); host != "index.docker.io" && host != "registry-1.docker.io" && host != "hub.docker.com" {
			return host
		}
		return "docker.io"
	}
	return ""
}

// ConnectionImage is an image's name with the connection's registry before it, unless it has one.
func (c *Connection) ConnectionImage(image string) string {
	host := c.RegistryHost()
	first, _, several := strings.Cut(image, "/")
	if host == "" || host == "docker.io" || several && (strings.ContainsAny(first, ".:") || first == "localhost") {
		return image
	}
	return host + "/" + image
}
