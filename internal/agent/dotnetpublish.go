package agent

import (
	"archive/zip"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

func (d dotnet) publish() error {
	projects, err := d.publishedProjects()
	if err != nil {
		return err
	}
	words := splitArguments(d.in.text("arguments"))
	at := outputArgument(words)
	modify := d.in.flag("modifyOutputPath", true)
	output := func(project string) string {
		if at < 0 || !modify || project == "" {
			return ""
		}
		return filepath.Join(words[at], publishedName(project))
	}
	arguments := func(project string) ([]string, error) {
		args := append([]string{}, words...)
		if own := output(project); own != "" {
			args[at] = own
		}
		return append(named(project), args...), nil
	}
	return d.forProjects(projects, "publish", arguments, func(project string) error {
		if !d.in.flag("zipAfterPublish", true) {
			return nil
		}
		switch own := output(project); {
		case own != "":
			return d.zipPublished(own, false)
		case at >= 0:
			return d.zipPublished(words[at], true)
		}
		folder, err := d.publishFolder(project)
		if err != nil {
			return err
		}
		return d.zipPublished(folder, false)
	})
}

// outputArgument is the place of the output folder among arguments, -1 without one.
func outputArgument(words []string) int {
	for i := 0; i+1 < len(words); i++ {
		if word := strings.ToLower(words[i]); word == "--output" || word == "-o" {
			return i + 1
		}
	}
	return -1
}

// publishedName is the part that a project adds to the output folder: the name of its own folder.
func publishedName(project string) string { return filepath.Base(filepath.Dir(project)) }

// publishedProjects are the web projects, or those that the input names.
func (d dotnet) publishedProjects() ([]string, error) {
	if !d.in.flag("publishWebProjects", true) {
		return d.projects("projects")
	}
	all, err := find(d.folders.sources, patterns{"**/*.csproj", "**/*.vbproj", "**/*.fsproj"})
	if err != nil {
		return nil, fmt.Errorf("look for projects: %w", err)
	}
	var web, sdk []string
	for _, project := range all {
		folder := filepath.Dir(project)
		if present(filepath.Join(folder, "web.config")) || present(filepath.Join(folder, "wwwroot")) {
			web = append(web, project)
		}
		if isWebSDK(project) {
			sdk = append(sdk, project)
		}
	}
	if len(web) == 0 {
		web = sdk
	}
	if len(web) == 0 {
		return nil, fmt.Errorf("no web project is below %s (one with web.config, wwwroot or the SDK Microsoft.NET.Sdk.Web): set publishWebProjects: false and give projects", d.folders.sources)
	}
	return web, nil
}

func present(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// isWebSDK reads the first element of a project.
func isWebSDK(project string) bool {
	file, err := os.Open(project)
	if err != nil || strings.HasSuffix(project, ".vbproj") {
		return false
	}
	defer file.Close()
	var root struct {
		SDK string `xml:"Sdk,attr"`
	}
	return xml.NewDecoder(io.LimitReader(file, 4<<20)).Decode(&root) == nil && strings.EqualFold(root.SDK, "Microsoft.NET.Sdk.Web")
}

// publishFolder is where dotnet publishes to by itself: the first folder named publish below the project's.
func (d dotnet) publishFolder(project string) (string, error) {
	base, err := d.workingFolder(d.in.text("workingDirectory"))
	if err != nil {
		return "", err
	}
	if project != "" {
		base = filepath.Dir(project)
	}
	folder := ""
	err = filepath.WalkDir(base, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && entry.Name() == "publish" {
			folder = path
			return fs.SkipAll
		}
		return err
	})
	if err == nil && folder == "" {
		err = errors.New("there is none")
	}
	if err != nil {
		return "", fmt.Errorf("look for the folder publish below %s, which is to be zipped: %w", base, err)
	}
	return folder, nil
}

// zipPublished puts a folder into FOLDER.zip in place of it, or into itself.
func (d dotnet) zipPublished(folder string, inside bool) error {
	dir, err := d.workingFolder(d.in.text("workingDirectory"))
	if err != nil {
		return err
	}
	if !filepath.IsAbs(folder) {
		folder = filepath.Join(dir, folder)
	}
	folder = filepath.Clean(folder)
	target := folder + ".zip"
	if err := zipTree(folder, target); err != nil {
		return fmt.Errorf("zip what was published: %w", err)
	}
	err = os.RemoveAll(folder)
	if err == nil && inside {
		if err = os.Mkdir(folder, 0o755); err == nil {
			moved := filepath.Join(folder, filepath.Base(target))
			err, target = os.Rename(target, moved), moved
		}
	}
	if err != nil {
		return fmt.Errorf("zip what was published: %w", err)
	}
	d.log.Printf("What was published is in %s", target)
	return nil
}

// zipTree writes the files of a folder, with their modes, into a zip file.
func zipTree(folder, target string) (err error) {
	out, err := os.Create(target)
	if err != nil {
		return err
	}
	w := zip.NewWriter(out)
	defer func() { err = errors.Join(err, w.Close(), out.Close()) }()
	return filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		header, err := zip.FileInfoHeader(info)
		if err != nil {
			return err
		}
		header.Name, header.Method = filepath.ToSlash(rel), zip.Deflate
		to, err := w.CreateHeader(header)
		if err != nil {
			return err
		}
		from, err := os.Open(path)
		if err != nil {
			return err
		}
		defer from.Close()
		_, err = io.Copy(to, from)
		return err
	})
}
