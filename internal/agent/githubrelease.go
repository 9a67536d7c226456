package agent

import (
	"cmp"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"slipway/internal/pipelines/variable"
)

const (
	maxReleaseNotes = 1 << 20 // bytes
	maxAssets       = 1000    // files, which is also GitHub's limit
)

// gitHubRelease is a release of a repository at GitHub.
type gitHubRelease struct {
	ID        int64         `json:"id"`
	Tag       string        `json:"tag_name"`
	Draft     bool          `json:"draft"`
	HTMLURL   string        `json:"html_url"`
	UploadURL string        `json:"upload_url"`
	Assets    []gitHubAsset `json:"assets"`
}

type gitHubAsset struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

// releaseTask is the task GitHubRelease@0 and @1 at work.
type releaseTask struct {
	*github
	in     inputs
	target string
	tag    string
}

func (t *task) githubRelease(in inputs) error {
	g, err := t.github(in.text("gitHubConnection"), in.text("repositoryName"))
	if err != nil {
		return err
	}
	r := &releaseTask{github: g, in: in, target: in.text("target"), tag: in.text("tag")}
	switch action := strings.ToLower(in.text("action")); action {
	case "create":
		source := strings.ToLower(in.text("tagSource"))
		if source == "gittag" || source == "auto" {
			if r.tag, err = r.tagOfTarget(); err != nil {
				return err
			}
			if r.tag == "" {
				t.warn("There is no release, since no tag of commit " + r.target + " fits.")
				return nil
			}
		}
		return r.create()
	case "edit":
		return r.edit()
	case "delete":
		old, err := r.find()
		if err != nil {
			return err
		}
		if old == nil {
			return fmt.Errorf("there is no release of the tag %s in %s", r.tag, r.repository)
		}
		if err := r.call(http.MethodDelete, r.path("releases", strconv.FormatInt(old.ID, 10)), nil, nil); err != nil {
			return fmt.Errorf("delete the release: %w", err)
		}
		t.log.Printf("Deleted the release of %s", r.tag)
		return nil
	default:
		return fmt.Errorf("the action %q of GitHubRelease is not known: write create, edit or delete", action)
	}
}

// wholly is a regular expression that must match a whole tag; none matches every tag.
func wholly(pattern string) (*regexp.Regexp, error) {
	if pattern == "" {
		pattern = ".*"
	}
	re, err := regexp.Compile("^(?:" + pattern + ")$")
	if err != nil {
		return nil, fmt.Errorf("%q is no regular expression of a tag: %w", pattern, err)
	}
	return re, nil
}

// tagOfTarget is the tag that the run is of, or else that of the target's commit; "" without one that fits.
func (r *releaseTask) tagOfTarget() (string, error) {
	fits, err := wholly(r.in.text("tagPattern"))
	if err != nil {
		return "", err
	}
	sha, err := r.commit(r.target)
	if err != nil {
		return "", fmt.Errorf("look for the commit %s: %w", r.target, err)
	}
	if own, ok := strings.CutPrefix(r.t.vars.Text(variable.BuildSourceBranch), "refs/tags/"); ok && sha == r.t.vars.Text(variable.BuildSourceVersion) {
		if !fits.MatchString(own) {
			own = ""
		}
		return own, nil
	}
	tags, err := r.tags(func(t gitHubTag) bool { return t.Commit.SHA == sha && fits.MatchString(t.Name) })
	switch {
	case err != nil:
		return "", fmt.Errorf("look for tags: %w", err)
	case len(tags) > 1:
		return "", fmt.Errorf("commit %s has the tags %s and %s: give one as tag, or a tagPattern", sha, tags[0].Name, tags[1].Name)
	case len(tags) == 0:
		return "", nil
	}
	return tags[0].Name, nil
}

// find is the release of the tag, nil without one.
func (r *releaseTask) find() (*gitHubRelease, error) {
	list, err := gitHubList(r.github, r.path("releases"), func(one gitHubRelease) bool { return one.Tag == r.tag })
	switch {
	case err != nil:
		return nil, fmt.Errorf("look for releases: %w", err)
	case len(list) > 1:
		return nil, fmt.Errorf("there are %d releases of the tag %s, so which one is meant is not known", len(list), r.tag)
	case len(list) == 0:
		return nil, nil //nolint:nilnil // nil is no release
	}
	return &list[0], nil
}

// body is what a release is given.
func (r *releaseTask) body() (map[string]any, error) {
	notes, err := r.notes()
	if err != nil {
		return nil, err
	}
	body := map[string]any{"tag_name": r.tag, "target_commitish": r.target, "body": notes,
		"draft": r.in.flag("isDraft", false), "prerelease": r.in.flag("isPreRelease", false)}
	if title := r.in.text("title"); title != "" {
		body["name"] = title
	}
	if latest := r.in.text("makeLatest"); latest != "" {
		body["make_latest"] = strings.ToLower(latest)
	}
	return body, nil
}

// create makes the release. One whose files cannot be uploaded is deleted again, as by Azure's task.
func (r *releaseTask) create() error {
	files, err := r.files()
	if err != nil {
		return err
	}
	body, err := r.body()
	if err != nil {
		return err
	}
	var made gitHubRelease
	err = r.call(http.MethodPost, r.path("releases"), body, &made)
	if failed := (errGitHub{}); errors.As(err, &failed) && failed.code == "already_exists" {
		return fmt.Errorf("there is a release of the tag %s in %s already: write action: edit", r.tag, r.repository)
	}
	if err != nil {
		return fmt.Errorf("make the release: %w", err)
	}
	if err := r.upload(&made, files, false); err != nil {
		return errors.Join(err, r.call(http.MethodDelete, r.path("releases", strconv.FormatInt(made.ID, 10)), nil, nil))
	}
	r.t.log.Printf("Made the release %s", cmp.Or(made.HTMLURL, r.tag))
	return nil
}

// edit changes the release, and makes it if there is none.
func (r *releaseTask) edit() error {
	old, err := r.find()
	if err != nil {
		return err
	}
	if old == nil {
		r.t.warn("There is no release of the tag " + r.tag + " to change, so it is made.")
		return r.create()
	}
	files, err := r.files()
	if err != nil {
		return err
	}
	body, err := r.body()
	if err != nil {
		return err
	}
	var changed gitHubRelease
	if err := r.call(http.MethodPatch, r.path("releases", strconv.FormatInt(old.ID, 10)), body, &changed); err != nil {
		return fmt.Errorf("change the release: %w", err)
	}
	replace := strings.EqualFold(r.in.text("assetUploadMode"), "replace")
	if !replace {
		for _, a := range changed.Assets {
			if err := r.remove(a); err != nil {
				return err
			}
		}
		changed.Assets = nil
	}
	if err := r.upload(&changed, files, replace); err != nil {
		return err
	}
	r.t.log.Printf("Changed the release %s", cmp.Or(changed.HTMLURL, r.tag))
	return nil
}

// files are the assets. A pattern that is a folder means no file, as for Azure's task.
func (r *releaseTask) files() ([]string, error) {
	var list patterns
	for _, pattern := range newPatterns(r.in.m["assets"]).expanded() {
		if info, err := os.Stat(r.t.absolute(pattern)); err == nil && info.IsDir() {
			r.t.log.Printf("%s is a folder, of which nothing is uploaded: write %s/*", pattern, strings.TrimRight(pattern, "/"))
			continue
		}
		list = append(list, pattern)
	}
	if len(list) == 0 {
		return nil, nil
	}
	files, err := find(r.t.folders.sources, list)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("look for files: %w", err)
	}
	if len(files) == 0 {
		r.t.log.Printf("No file matches %s, so none is uploaded.", strings.Join(list, ", "))
	}
	if len(files) > maxAssets {
		return nil, fmt.Errorf("%d files match, and a release has at most %d", len(files), maxAssets)
	}
	return files, nil
}

func (r *releaseTask) remove(a gitHubAsset) error {
	if err := r.call(http.MethodDelete, r.path("releases", "assets", strconv.FormatInt(a.ID, 10)), nil, nil); err != nil {
		return fmt.Errorf("delete %s of the release: %w", a.Name, err)
	}
	r.t.log.Printf("Deleted %s", a.Name)
	return nil
}

// upload uploads files. One whose name is taken is left out, or replaced.
func (r *releaseTask) upload(to *gitHubRelease, files []string, replace bool) error {
	for _, file := range files {
		for _, a := range to.Assets {
			if replace && a.Name == filepath.Base(file) {
				if err := r.remove(a); err != nil {
					return err
				}
			}
		}
		err := r.uploadOne(to, file)
		if failed := (errGitHub{}); errors.As(err, &failed) && failed.code == "already_exists" {
			r.t.log.Printf("%s is there already, and left out.", filepath.Base(file))
			continue
		}
		if err != nil {
			return fmt.Errorf("upload %s: %w", filepath.Base(file), err)
		}
		r.t.log.Printf("Uploaded %s", file)
	}
	return nil
}

func (r *releaseTask) uploadOne(to *gitHubRelease, file string) error {
	address, _, _ := strings.Cut(to.UploadURL, "{")
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && !strings.HasPrefix(address, r.api[:strings.LastIndex(r.api, "/")]) {
		return fmt.Errorf("GitHub says that files go to %q, which is not safe", to.UploadURL)
	}
	u.RawQuery = url.Values{"name": {filepath.Base(file)}}.Encode()
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(r.t.ctx, http.MethodPost, u.String(), f)
	if err != nil {
		return err
	}
	request.ContentLength = info.Size()
	if info.Size() == 0 {
		request.Body = http.NoBody
	}
	request.Header.Set("Content-Type", cmp.Or(mime.TypeByExtension(filepath.Ext(file)), "application/octet-stream"))
	_, err = r.send(request, nil)
	return err
}
