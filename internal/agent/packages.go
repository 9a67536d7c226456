package agent

import (
	"cmp"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"slipway/internal/pipelines/job"
)

// What service connections of package registries become for npm, NuGet, pip, twine and Maven.

// maxPackageFile bounds a file of a package manager that is read, in bytes.
const maxPackageFile = 1 << 20

// nerfDart is how npm names a registry in its configuration: //HOST/PATH/.
func nerfDart(u *url.URL) string {
	return "//" + u.Host + strings.TrimRight(u.EscapedPath(), "/") + "/"
}

// npmCredentials are the lines of .npmrc for the connections of those registries; nil takes all. opened are the addresses of
// registries that have credentials then, as readNpmrc gives them.
func (t *task) npmCredentials(connections []job.Connection, registries []string) (lines, opened []string, err error) {
	for _, c := range connections {
		u, err := url.Parse(c.URL)
		if err != nil || u.Host == "" {
			return nil, nil, fmt.Errorf("the URL %q of service connection %q is none of a registry", c.URL, c.Name)
		}
		address := nerfDart(u)
		if registries != nil && !slices.ContainsFunc(registries, func(r string) bool {
			other, err := url.Parse(r)
			return err == nil && strings.EqualFold(nerfDart(other), address)
		}) {
			t.warn(fmt.Sprintf("The registry %s of service connection %s is not named in the .npmrc file, so it gets no credentials.", c.URL, c.Name))
			continue
		}
		user, password := c.Credentials()
		switch {
		case password == "":
			return nil, nil, fmt.Errorf("service connection %q has no credentials", c.Name)
		case user == "":
			lines = append(lines, address+":_authToken="+password)
		default:
			encoded := base64.StdEncoding.EncodeToString([]byte(password))
			t.mask.Add(encoded)
			lines = append(lines, address+":username="+user, address+":_password="+encoded, address+":email="+user)
		}
		t.log.Printf("%s has the credentials of service connection %s.", c.URL, c.Name)
		opened = append(opened, strings.ToLower(strings.TrimRight(address, "/")))
	}
	return lines, opened, nil
}

// npmConnections lets npm use the registries of the connections in one step. The target, a connection or a URL, becomes npm's
// registry.
func (t *task) npmConnections(names, target string, env map[string]string) (end func(), err error) {
	end = func() {}
	connections, err := t.connections(names)
	if err != nil {
		return end, err
	}
	if strings.Contains(target, "://") {
		env["NPM_CONFIG_REGISTRY"] = target
	} else if target != "" {
		c, err := t.connection(target)
		if err != nil {
			return end, err
		}
		env["NPM_CONFIG_REGISTRY"] = c.URL
		connections = append(connections, c)
	}
	if len(connections) == 0 {
		return end, nil
	}
	lines, _, err := t.npmCredentials(connections, nil)
	if err != nil {
		return end, err
	}
	folder, end, err := t.privateFolder("npm-")
	if err != nil {
		return end, err
	}
	text, err := readConfig(filepath.Join(t.home(), ".npmrc"))
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, ".npmrc"), []byte(joined(text, lines)), 0o600)
	}
	if err != nil {
		end()
		return func() {}, err
	}
	env["NPM_CONFIG_USERCONFIG"] = filepath.Join(folder, ".npmrc")
	return end, nil
}

// home is the home folder of the steps' programs.
func (t *task) home() string {
	home := ""
	for _, pair := range t.environment(nil) {
		if name, value, _ := strings.Cut(pair, "="); name == "HOME" {
			home = value
		}
	}
	return home
}

// readConfig is a file's text, "" when it is not there.
func readConfig(path string) (string, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err == nil && info.Size() > maxPackageFile {
		err = fmt.Errorf("%s has more than %d bytes", path, maxPackageFile)
	}
	if err != nil {
		return "", err
	}
	b, err := os.ReadFile(path)
	return string(b), err
}

func joined(text string, lines []string) string {
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text + strings.Join(lines, "\n") + "\n"
}

// appendForJob appends lines to a file, and takes them away again when the job ends.
func (t *task) appendForJob(path string, lines []string) error {
	if len(lines) == 0 {
		return nil
	}
	before, err := readConfig(path)
	if err != nil {
		return err
	}
	return t.writeForJob(path, joined(before, lines))
}

// writeForJob writes a file that this user alone reads, and puts back what was there when the job ends.
func (t *task) writeForJob(path, text string) error {
	before, err := os.ReadFile(path)
	absent := errors.Is(err, fs.ErrNotExist)
	if err != nil && !absent {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make the folder of %s: %w", path, err)
	}
	mode := fs.FileMode(0o600)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		return fmt.Errorf("write credentials: %w", err)
	}
	t.afterJob(func(post *task) error {
		post.log.Printf("The credentials are taken out of %s.", path)
		var err error
		if absent {
			err = os.Remove(path)
		} else {
			err = os.WriteFile(path, before, mode)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a step has deleted it
		}
		return err
	})
	return nil
}

// withUser is a URL with user and password in it.
func (t *task) withUser(c *job.Connection) (string, error) {
	u, err := url.Parse(c.URL)
	user, password := c.Credentials()
	if err != nil || u.Host == "" || password == "" {
		return "", fmt.Errorf("service connection %q needs the URL of a registry and credentials", c.Name)
	}
	u.User = url.UserPassword(cmp.Or(user, "build"), password)
	return u.String(), nil
}

// pipAuthenticate is the tasks PipAuthenticate@0 and @1: the first index is that of pip, unless it is only to be an extra one.
func (t *task) pipAuthenticate(in inputs) error {
	connections, err := t.connections(in.text("pythonDownloadServiceConnections") + "," + in.text("externalSources"))
	if err != nil {
		return err
	}
	if len(connections) == 0 {
		t.noFeeds("pip", "pip.conf")
		return nil
	}
	var urls []string
	for i := range connections {
		u, err := t.withUser(&connections[i])
		if err != nil {
			return err
		}
		t.mask.Add(u)
		urls = append(urls, u)
		t.log.Printf("pip uses %s with the credentials of service connection %s.", connections[i].URL, connections[i].Name)
	}
	if !in.flag("onlyAddExtraIndex", false) {
		t.setStepEnv("PIP_INDEX_URL", urls[0])
		urls = urls[1:]
	}
	if len(urls) > 0 {
		t.setStepEnv("PIP_EXTRA_INDEX_URL", strings.Join(urls, " "))
	}
	return nil
}

// twineAuthenticate is the tasks TwineAuthenticate@0 and @1: a .pypirc file, which the variable PYPIRC_PATH names.
func (t *task) twineAuthenticate(in inputs) error {
	connections, err := t.connections(cmp.Or(in.text("pythonUploadServiceConnection"), in.text("externalFeeds")))
	if err != nil {
		return err
	}
	if len(connections) == 0 {
		t.noFeeds("twine", ".pypirc")
		return nil
	}
	folder, err := os.MkdirTemp(t.folders.temp, "twineAuthenticate-")
	if err != nil {
		return fmt.Errorf("make a folder for credentials: %w", err)
	}
	var names, sections []string
	for _, c := range connections {
		user, password := c.Credentials()
		if password == "" {
			return fmt.Errorf("service connection %q has no credentials", c.Name)
		}
		name := cmp.Or(c.Datum("EndpointName"), c.Name)
		if strings.ContainsAny(name+c.URL+user+password, "\r\n") || strings.ContainsAny(name, "[] ") {
			return fmt.Errorf("service connection %q: its EndpointName must be one word, and its credentials one line", c.Name)
		}
		names = append(names, name)
		sections = append(sections, fmt.Sprintf("[%s]\nrepository=%s\nusername=%s\npassword=%s\n", name, c.URL, cmp.Or(user, "__token__"), password))
		t.log.Printf("twine uploads to %s with -r %s and the credentials of service connection %s.", c.URL, name, c.Name)
	}
	path := filepath.Join(folder, ".pypirc")
	if err := t.writeForJob(path, "[distutils]\nindex-servers="+strings.Join(names, " ")+"\n\n"+strings.Join(sections, "\n")); err != nil {
		return err
	}
	t.setOutput("PYPIRC_PATH", path)
	return nil
}

// nugetAuthenticate is the tasks NuGetAuthenticate@0 and @1: NuGet finds the credentials of a source by the environment variable
// NuGetPackageSourceCredentials_NAME, so that the source must be named in a NuGet.config file of the sources.
func (t *task) nugetAuthenticate(in inputs) error {
	connections, err := t.connections(in.text("nuGetServiceConnections"))
	if err != nil {
		return err
	}
	if len(connections) == 0 {
		t.noFeeds("dotnet", "NuGet.config")
		return nil
	}
	sources, err := t.nugetSources()
	if err != nil {
		return err
	}
	for _, c := range connections {
		user, password := c.Credentials()
		if password == "" {
			return fmt.Errorf("service connection %q has no credentials: NuGet's own keys are given with `dotnet nuget push --api-key`", c.Name)
		}
		found := false
		for name, address := range sources {
			if !strings.EqualFold(strings.TrimRight(address, "/"), strings.TrimRight(c.URL, "/")) {
				continue
			}
			found = true
			t.setStepEnv("NuGetPackageSourceCredentials_"+name, "Username="+cmp.Or(user, "build")+";Password="+password)
			t.log.Printf("The source %s has the credentials of service connection %s.", name, c.Name)
		}
		if !found {
			t.warn(fmt.Sprintf("No NuGet.config below %s names a source %s, so service connection %s adds nothing: add the source there.", t.folders.sources, c.URL, c.Name))
		}
	}
	return nil
}

// nugetSources are the package sources of the NuGet.config files, by name.
func (t *task) nugetSources() (map[string]string, error) {
	files, err := find(t.folders.sources, patterns{"**/[nN][uU][gG][eE][tT].[cC]onfig"})
	if err != nil {
		return nil, fmt.Errorf("look for NuGet.config: %w", err)
	}
	sources := map[string]string{}
	for _, path := range files[:min(len(files), maxRegistries)] {
		text, err := readConfig(path)
		if err != nil {
			return nil, err
		}
		var config struct {
			Sources struct {
				Add []struct {
					Key   string `xml:"key,attr"`
					Value string `xml:"value,attr"`
				} `xml:"add"`
			} `xml:"packageSources"`
		}
		if err := xml.Unmarshal([]byte(strings.TrimPrefix(text, "\ufeff")), &config); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		for _, source := range config.Sources.Add {
			sources[source.Key] = source.Value
		}
	}
	return sources, nil
}

// mavenAuthenticate is the task MavenAuthenticate@0: servers in ~/.m2/settings.xml, by the ids of the repositories.
func (t *task) mavenAuthenticate(in inputs) error {
	connections, err := t.connections(in.text("mavenServiceConnections"))
	if err != nil {
		return err
	}
	if len(connections) == 0 {
		t.noFeeds("mvn", "settings.xml")
		return nil
	}
	path := filepath.Join(t.home(), ".m2", "settings.xml")
	text, err := readConfig(path)
	if err != nil {
		return err
	}
	var servers strings.Builder
	for _, c := range connections {
		user, password := c.Credentials()
		id := cmp.Or(c.Datum("RepositoryId"), c.Name)
		if password == "" {
			return fmt.Errorf("service connection %q has no credentials", c.Name)
		}
		if strings.Contains(text, "<id>"+id+"</id>") {
			t.warn(fmt.Sprintf("%s has a server %s already, which stays as it is.", path, id))
			continue
		}
		servers.WriteString("<server>")
		for _, part := range [][2]string{{"id", id}, {"username", cmp.Or(user, "AzureDevOps")}, {"password", password}} {
			servers.WriteString("<" + part[0] + ">")
			if err := xml.EscapeText(&servers, []byte(part[1])); err != nil {
				return err
			}
			servers.WriteString("</" + part[0] + ">")
		}
		servers.WriteString("</server>\n")
		t.log.Printf("The repository %s has the credentials of service connection %s.", id, c.Name)
	}
	if servers.Len() == 0 {
		return nil
	}
	switch {
	case text == "":
		text = "<settings>\n<servers>\n" + servers.String() + "</servers>\n</settings>\n"
	case strings.Contains(text, "</servers>"):
		text = strings.Replace(text, "</servers>", servers.String()+"</servers>", 1)
	case strings.Contains(text, "</settings>"):
		text = strings.Replace(text, "</settings>", "<servers>\n"+servers.String()+"</servers>\n</settings>", 1)
	default:
		return fmt.Errorf("%s is no file of Maven's settings", path)
	}
	return t.writeForJob(path, text)
}

// noFeeds says that there is nothing to add: there are no feeds of packages here.
func (t *task) noFeeds(client, file string) {
	t.warn(fmt.Sprintf("There are no feeds of packages here, so this step adds no credentials: %s goes on with public registries, and with those that %s names with a token in env. Name a service connection for others.", client, file))
}
