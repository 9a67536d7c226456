package agent

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// maxAsset bounds a file of a release, in bytes: GitHub's own limit is 2 GiB.
const maxAsset = 2 << 30

// downloadGitHubRelease is the task DownloadGitHubRelease@0.
func (t *task) downloadGitHubRelease(in inputs) error {
	g, err := t.github(in.text("connection"), in.text("userRepository"))
	if err != nil {
		return err
	}
	version := in.text("version")
	address := g.path("releases", "latest")
	switch kind := strings.ToLower(in.text("defaultVersionType")); {
	case kind == "specificversion": // the number of the release at GitHub
		address = g.path("releases", version)
	case version != "":
		address = g.path("releases", "tags", version)
	}
	var release gitHubRelease
	if err := g.call(http.MethodGet, address, nil, &release); statusOf(err) == http.StatusNotFound {
		return fmt.Errorf("there is no release %s in %s: defaultVersionType says whether version is a tag (specificTag) or a release's number (specificVersion)", version, g.repository)
	} else if err != nil {
		return fmt.Errorf("look for the release: %w", err)
	}
	list := newPatterns(in.m["itempattern"]).expanded()
	chosen := list.matcher()
	files, err := gitHubList(g, g.path("releases", strconv.FormatInt(release.ID, 10), "assets"), func(a gitHubAsset) bool { return chosen(a.Name) })
	if err != nil {
		return fmt.Errorf("list the files of the release: %w", err)
	}
	if len(files) > maxAssets {
		return fmt.Errorf("the release has more than %d files", maxAssets)
	}
	folder := t.absolute(in.text("downloadPath"))
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("make the folder of the files: %w", err)
	}
	for _, a := range files {
		if err := g.download(a, folder); err != nil {
			return fmt.Errorf("download %s: %w", a.Name, err)
		}
		t.log.Printf("Downloaded %s of the release %s to %s", a.Name, release.Tag, folder)
	}
	if len(files) == 0 {
		t.warn("No file of the release " + release.Tag + " matches " + strings.Join(list, ", ") + ".")
	}
	return nil
}

// download puts a file of a release into a folder.
func (g *github) download(a gitHubAsset, folder string) (err error) {
	if a.Name != filepath.Base(a.Name) || !filepath.IsLocal(a.Name) {
		return errors.New("that is no name of a file")
	}
	request, err := http.NewRequestWithContext(g.t.ctx, http.MethodGet, g.path("releases", "assets", strconv.FormatInt(a.ID, 10)), nil)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "application/octet-stream")
	request.Header.Set("Authorization", "Bearer "+g.token) // which a redirect to another host does not get
	request.Header.Set("User-Agent", "slipway-agent")
	resp, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("call GitHub: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errGitHub{status: resp.StatusCode}
	}
	file, err := os.Create(filepath.Join(folder, a.Name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	n, err := io.Copy(file, io.LimitReader(resp.Body, maxAsset+1))
	if err == nil && n > maxAsset {
		err = fmt.Errorf("it has more than %d bytes", int64(maxAsset))
	}
	return err
}
