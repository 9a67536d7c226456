package tool

import (
	"context"
	"fmt"
	"runtime"

	"github.com/Masterminds/semver/v3"
)

// assetNames are the files of a release at GitHub: the tool's own, and its checksum's. An archive is unpacked without so many of its
// folders; the program is the file's name otherwise.
type assetNames struct {
	file, sum string
	strip     int
	program   string
}

// gitHubRelease reads the newest release, or the one of a version, from GitHub's REST API (docs.github.com/rest/releases).
func gitHubRelease(names func() assetNames) func(context.Context, *Installer, string, Spec) (release, error) {
	return func(ctx context.Context, i *Installer, base string, want Spec) (release, error) {
		address := base + "/latest"
		if want.exact != nil {
			address = base + "/tags/v" + want.exact.String()
		}
		var answer struct {
			Tag    string `json:"tag_name"`
			Assets []struct {
				Name string `json:"name"`
				URL  string `json:"browser_download_url"`
			} `json:"assets"`
		}
		if err := i.json(ctx, address, &answer); err != nil {
			return release{}, err
		}
		v, err := semver.NewVersion(answer.Tag)
		if err != nil {
			return release{}, fmt.Errorf("%s: %q is no version", shown(address), answer.Tag)
		}
		if !want.matches(v) {
			return release{}, fmt.Errorf("%s has %s as its newest version: write a whole version", shown(base), v)
		}
		wanted := names()
		urlOf := func(name string) (string, error) {
			for _, a := range answer.Assets {
				if a.Name == name {
					return a.URL, nil
				}
			}
			return "", fmt.Errorf("release %s of %s has no file %s", answer.Tag, shown(base), name)
		}
		file, err := urlOf(wanted.file)
		if err != nil {
			return release{}, err
		}
		sums, err := urlOf(wanted.sum)
		if err != nil {
			return release{}, err
		}
		sum, err := i.published(ctx, sums, wanted.file)
		return release{version: v, url: file, sum: sum, strip: wanted.strip, file: wanted.program}, err
	}
}

// kubeloginAssets are an archive with bin/linux_amd64/kubelogin.
func kubeloginAssets() assetNames {
	file := "kubelogin-linux-" + runtime.GOARCH + ".zip"
	return assetNames{file: file, sum: file + ".sha256", strip: 2}
}

// opaAssets are the program itself, which other processors have linked statically alone.
func opaAssets() assetNames {
	file := "opa_linux_" + runtime.GOARCH
	if runtime.GOARCH != "amd64" {
		file += "_static"
	}
	return assetNames{file: file, sum: file + ".sha256", program: "opa"}
}
