package az

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"slipway"
)

var (
	runOption = option{names: []string{"--run-id"}, doc: "the run's number", need: true}
	artifact  = option{names: []string{"--artifact-name"}, doc: "the artifact's name", need: true}
)

// runCommands are about the tags and artifacts of runs.
var runCommands = []command{
	{name: "pipelines runs tag list", doc: "Lists a run's tags.", options: devOpsOptions(runOption), run: (*call).runTags},
	{name: "pipelines runs tag add", doc: "Tags a run.", options: devOpsOptions(runOption, option{names: []string{"--tags"}, kind: list, need: true}), run: (*call).addRunTags},
	{name: "pipelines runs tag delete", doc: "Takes a tag off a run.", options: devOpsOptions(runOption, option{names: []string{"--tag"}, need: true}), run: (*call).deleteRunTag},
	{name: "pipelines runs artifact list", doc: "Lists a run's artifacts.", options: devOpsOptions(runOption), run: (*call).artifacts},
	{name: "pipelines runs artifact download", doc: "Writes an artifact's files into a folder.", options: devOpsOptions(runOption, artifact,
		option{names: []string{"--path"}, doc: "the folder", need: true}), run: (*call).downloadArtifact},
}

// ofRun is a path of the REST API below a run.
func (c *call) ofRun(path string) (string, error) {
	_, err := c.number("run-id", 0)
	return "build/builds/" + c.text("run-id") + path, err
}

// listed calls the REST API for a list, of anything.
func (c *call) listed(method, path string, body any) (any, error) {
	var out struct {
		Value []any `json:"value"`
	}
	err := c.api(method, path, nil, body, &out)
	return out.Value, err
}

func (c *call) runTags() (any, error) {
	path, err := c.ofRun("/tags")
	if err != nil {
		return nil, err
	}
	return c.listed("GET", path, nil)
}

func (c *call) addRunTags() (any, error) {
	path, err := c.ofRun("/tags")
	if err != nil {
		return nil, err
	}
	return c.listed("POST", path, c.list("tags"))
}

func (c *call) deleteRunTag() (any, error) {
	path, err := c.ofRun("/tags/" + url.PathEscape(c.text("tag")))
	if err != nil {
		return nil, err
	}
	return c.listed("DELETE", path, nil)
}

func (c *call) artifacts() (any, error) {
	path, err := c.ofRun("/artifacts")
	if err != nil {
		return nil, err
	}
	return c.listed("GET", path, nil)
}

// maxArtifactFiles bounds what one artifact unpacks to.
const maxArtifactFiles = 1_000_000

func (c *call) downloadArtifact() (any, error) {
	if _, err := c.number("run-id", 0); err != nil {
		return nil, err
	}
	project, err := c.teamProject()
	if err != nil {
		return nil, err
	}
	token, err := c.token()
	if err != nil {
		return nil, err
	}
	base, err := url.Parse(c.Getenv("SLIPWAY_URL"))
	if err != nil || base.Host == "" {
		return nil, slipway.Unavailable("no server is named: SLIPWAY_URL is set in Slipway's jobs only")
	}
	address := base.JoinPath(url.PathEscape(project), "_apis/slipway/builds", c.text("run-id"), "artifacts", url.PathEscape(c.text("artifact-name")))
	r, err := http.NewRequestWithContext(c.ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	basic(token)(r)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, slipway.Unavailable("the server cannot be reached").Because(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
		return nil, problem(answer, b)
	}
	n, err := unpack(answer.Body, c.text("path"))
	if err != nil {
		return nil, fmt.Errorf("download the artifact %s: %w", c.text("artifact-name"), err)
	}
	c.note("Downloaded %d files of the artifact %s to %s.", n, c.text("artifact-name"), c.text("path"))
	return nil, nil
}

// unpack writes the files of a tar file below a folder, and nothing outside of it.
func unpack(from io.Reader, folder string) (files int, err error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return 0, err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return 0, err
	}
	defer root.Close()
	entries := tar.NewReader(from)
	for {
		h, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return files, err
		}
		switch h.Typeflag {
		case tar.TypeDir:
			if err := root.MkdirAll(filepath.Clean(h.Name), 0o755); err != nil {
				return files, err
			}
		case tar.TypeReg:
			if files++; files > maxArtifactFiles {
				return files, fmt.Errorf("it has more than %d files", maxArtifactFiles)
			}
			if err := unpackFile(root, filepath.Clean(h.Name), os.FileMode(h.Mode).Perm(), entries); err != nil {
				return files, err
			}
		}
	}
}

func unpackFile(root *os.Root, name string, mode os.FileMode, from io.Reader) error {
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode|0o200)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, from)
	return errors.Join(err, file.Close())
}
