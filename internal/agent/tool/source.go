package tool

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/Masterminds/semver/v3"
)

// release is a version of a tool that can be downloaded.
type release struct {
	version *semver.Version
	url     string
	sum     string // SHA-256 or SHA-512, in hexadecimal
	// strip is how many folders the archive has around the tool; a file that is no archive has a name instead.
	strip int
	file  string
	// check compares the archive with what is published, where that is no checksum of the file; unpack then writes it.
	check  func(archive string) error
	unpack func(ctx context.Context, archive, folder string) error
}

// errNoRelease says that the vendor has no version that fits.
var errNoRelease = errors.New("no version there fits")

// newest is the highest version that fits, by the versions' names.
func newest(want Spec, names []string, parse func(string) (*semver.Version, error)) (string, *semver.Version) {
	var best *semver.Version
	name := ""
	for _, one := range names {
		if v, err := parse(one); err == nil && want.matches(v) && (best == nil || v.GreaterThan(best)) {
			best, name = v, one
		}
	}
	return name, best
}

// arch is the processor as Node.js and tool caches call it.
func arch() string {
	if runtime.GOARCH == "amd64" {
		return "x64"
	}
	return runtime.GOARCH
}

// goRelease reads what go.dev/dl says of its files. A mirror that is only files has a checksum beside each.
func goRelease(ctx context.Context, i *Installer, base string, want Spec) (release, error) {
	var list []struct {
		Version string `json:"version"`
		Files   []struct {
			Name string `json:"filename"`
			OS   string `json:"os"`
			Arch string `json:"arch"`
			Kind string `json:"kind"`
			Sum  string `json:"sha256"`
		} `json:"files"`
	}
	err := i.json(ctx, base+"/?mode=json&include=all", &list)
	if err != nil && want.exact != nil {
		file := goName(want.exact) + ".linux-" + runtime.GOARCH + ".tar.gz"
		sum, sumErr := i.published(ctx, base+"/"+file+".sha256", file)
		if sumErr == nil {
			return release{version: want.exact, url: base + "/" + file, sum: sum, strip: 1}, nil
		}
	}
	if err != nil {
		return release{}, err
	}
	best := release{}
	for _, one := range list {
		v, err := goVersion(one.Version)
		if err != nil || !want.matches(v) || best.version != nil && !v.GreaterThan(best.version) {
			continue
		}
		for _, f := range one.Files {
			if f.OS == "linux" && f.Arch == runtime.GOARCH && f.Kind == "archive" {
				best = release{version: v, url: base + "/" + f.Name, sum: f.Sum, strip: 1}
			}
		}
	}
	if best.version == nil {
		return release{}, fmt.Errorf("%s: %w", shown(base), errNoRelease)
	}
	return best, nil
}

// nodeRelease reads nodejs.org's index.json and the SHASUMS256.txt of the version.
func nodeRelease(ctx context.Context, i *Installer, base string, want Spec) (release, error) {
	v := want.exact
	if v == nil {
		var list []struct {
			Version string   `json:"version"`
			Files   []string `json:"files"`
			LTS     any      `json:"lts"` // false, or the name of the line
		}
		if err := i.json(ctx, base+"/index.json", &list); err != nil {
			return release{}, err
		}
		var names []string
		for _, one := range list {
			line, _ := one.LTS.(string)
			if want.lts != "" && (line == "" || want.lts != "*" && !strings.EqualFold(want.lts, line)) {
				continue
			}
			if slices.Contains(one.Files, "linux-"+arch()) {
				names = append(names, one.Version)
			}
		}
		among := want
		if want.lts != "" {
			among = Spec{newest: true}
		}
		if _, v = newest(among, names, plainVersion); v == nil {
			return release{}, fmt.Errorf("%s/index.json: %w", shown(base), errNoRelease)
		}
	}
	folder := base + "/v" + v.String()
	file := "node-v" + v.String() + "-linux-" + arch() + ".tar.gz"
	sum, err := i.published(ctx, folder+"/SHASUMS256.txt", file)
	if err != nil {
		return release{}, err
	}
	return release{version: v, url: folder + "/" + file, sum: sum, strip: 1}, nil
}

// pythonFile is an archive of python-build-standalone: relocatable builds of CPython for any Linux with glibc.
var pythonFile = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^cpython-([0-9][0-9a-z.]*)\+[0-9]+-(x86_64|aarch64)-unknown-linux-gnu-install_only\.tar\.gz$`)
})

// pythonRelease reads the SHA256SUMS of a release of python-build-standalone, which names every file.
func pythonRelease(ctx context.Context, i *Installer, base string, want Spec) (release, error) {
	list, err := i.text(ctx, base+"/SHA256SUMS", maxSums)
	if err != nil {
		return release{}, err
	}
	machine := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	best := release{}
	for _, line := range strings.Split(list, "\n") {
		fields := strings.Fields(line)
		if len(fields) != 2 {
			continue
		}
		file := strings.TrimPrefix(fields[1], "*")
		m := pythonFile().FindStringSubmatch(file)
		if m == nil || m[2] != machine {
			continue
		}
		v, err := pythonVersion(m[1])
		if err == nil && want.matches(v) && (best.version == nil || v.GreaterThan(best.version)) {
			best = release{version: v, url: base + "/" + strings.ReplaceAll(file, "+", "%2B"), sum: fields[0], strip: 1}
		}
	}
	if best.version == nil {
		return release{}, fmt.Errorf("%s/SHA256SUMS: %w", shown(base), errNoRelease)
	}
	return best, nil
}

// javaRelease asks Adoptium for the newest build of the version's line.
func javaRelease(ctx context.Context, i *Installer, base string, want Spec) (release, error) {
	line := javaLine.FindString(strings.TrimPrefix(want.text, "1."))
	if line == "" {
		return release{}, fmt.Errorf("%q names no line of Java: write its number, as 21", want.text)
	}
	var list []struct {
		Binary struct {
			Package struct {
				Sum  string `json:"checksum"`
				Link string `json:"link"`
			} `json:"package"`
		} `json:"binary"`
		Version struct {
			Text string `json:"openjdk_version"`
		} `json:"version"`
	}
	machine := map[string]string{"amd64": "x64", "arm64": "aarch64"}[runtime.GOARCH]
	address := base + "/v3/assets/latest/" + line + "/hotspot?architecture=" + machine + "&image_type=jdk&os=linux&vendor=eclipse"
	if err := i.json(ctx, address, &list); err != nil {
		return release{}, err
	}
	for _, one := range list {
		v, err := javaVersion(one.Version.Text)
		if err == nil && want.matches(v) && one.Binary.Package.Link != "" {
			return release{version: v, url: one.Binary.Package.Link, sum: one.Binary.Package.Sum, strip: 1}, nil
		}
	}
	return release{}, fmt.Errorf("%s: %w", shown(address), errNoRelease)
}

var javaLine = regexp.MustCompile(`^[0-9]+`)

// helmRelease knows the newest version only: get.helm.sh lists no others.
func helmRelease(ctx context.Context, i *Installer, base string, want Spec) (release, error) {
	v := want.exact
	if v == nil {
		text, err := i.text(ctx, base+"/helm-latest-version", 1<<10)
		if err != nil {
			return release{}, err
		}
		if v, err = semver.NewVersion(strings.TrimSpace(text)); err != nil {
			return release{}, fmt.Errorf("%s/helm-latest-version: %q is no version", shown(base), strings.TrimSpace(text))
		}
		if !want.matches(v) {
			return release{}, fmt.Errorf("%s has %s as its newest version and lists no others: write a whole version, as 3.14.0", shown(base), v)
		}
	}
	file := "helm-v" + v.String() + "-linux-" + runtime.GOARCH + ".tar.gz"
	sum, err := i.published(ctx, base+"/"+file+".sha256sum", file)
	return release{version: v, url: base + "/" + file, sum: sum, strip: 1}, err
}

// kubectlRelease reads the newest version, of all or of a minor one, from dl.k8s.io.
func kubectlRelease(ctx context.Context, i *Installer, base string, want Spec) (release, error) {
	v := want.exact
	if v == nil {
		address := base + "/release/stable.txt"
		if minor, ok := want.minor(); ok {
			address = base + "/release/stable-" + minor + ".txt"
		}
		text, err := i.text(ctx, address, 1<<10)
		if err != nil {
			return release{}, err
		}
		if v, err = semver.NewVersion(strings.TrimSpace(text)); err != nil {
			return release{}, fmt.Errorf("%s: %q is no version", shown(address), strings.TrimSpace(text))
		}
		if !want.matches(v) {
			return release{}, fmt.Errorf("%s has %s as its newest version and lists no others: write a whole or a minor version, as 1.29.2 or 1.29", shown(base), v)
		}
	}
	address := base + "/release/v" + v.String() + "/bin/linux/" + runtime.GOARCH + "/kubectl"
	sum, err := i.published(ctx, address+".sha256", "kubectl")
	return release{version: v, url: address, sum: sum, file: "kubectl"}, err
}

// terraformRelease reads HashiCorp's index.json and the SHA256SUMS of the version.
func terraformRelease(ctx context.Context, i *Installer, base string, want Spec) (release, error) {
	v := want.exact
	if v == nil {
		var list struct {
			Versions map[string]struct{} `json:"versions"`
		}
		if err := i.json(ctx, base+"/index.json", &list); err != nil {
			return release{}, err
		}
		var names []string
		for name := range list.Versions {
			names = append(names, name)
		}
		if _, v = newest(want, names, plainVersion); v == nil {
			return release{}, fmt.Errorf("%s/index.json: %w", shown(base), errNoRelease)
		}
	}
	folder, name := base+"/"+v.String(), "terraform_"+v.String()
	file := name + "_linux_" + runtime.GOARCH + ".zip"
	sum, err := i.published(ctx, folder+"/"+name+"_SHA256SUMS", file)
	return release{version: v, url: folder + "/" + file, sum: sum}, err
}

// dotnetRelease reads the releases.json of .NET's channels. The files of a mirror lie where the vendor's installer looks for
// them: Sdk/VERSION/dotnet-sdk-VERSION-linux-x64.tar.gz.
func dotnetRelease(kind string) func(context.Context, *Installer, string, Spec) (release, error) {
	return func(ctx context.Context, i *Installer, base string, want Spec) (release, error) {
		channels, err := dotnetChannels(ctx, i, base, want)
		if err != nil {
			return release{}, err
		}
		for _, channel := range channels {
			r, err := dotnetChannel(ctx, i, base, channel, kind, want)
			if err != nil || r.version != nil {
				return r, err
			}
		}
		return release{}, fmt.Errorf("%s/release-metadata/releases-index.json: %w", shown(base), errNoRelease)
	}
}

// dotnetChannels are the channels that can hold a version that fits, the newest first.
func dotnetChannels(ctx context.Context, i *Installer, base string, want Spec) ([]string, error) {
	if want.exact != nil {
		return []string{fmt.Sprintf("%d.%d", want.exact.Major(), want.exact.Minor())}, nil
	}
	var index struct {
		Channels []struct {
			Version string `json:"channel-version"`
			Phase   string `json:"support-phase"`
		} `json:"releases-index"`
	}
	if err := i.json(ctx, base+"/release-metadata/releases-index.json", &index); err != nil {
		return nil, err
	}
	unstable := want.allowed != nil && want.allowed.IncludePrerelease
	var versions []*semver.Version
	for _, c := range index.Channels {
		preview := strings.EqualFold(c.Phase, "preview") || strings.EqualFold(c.Phase, "go-live")
		if v, err := semver.NewVersion(c.Version); err == nil && (!preview || unstable) {
			versions = append(versions, v)
		}
	}
	slices.SortFunc(versions, func(a, b *semver.Version) int { return b.Compare(a) })
	var channels []string
	for _, v := range versions {
		if wanted, ok := want.channel(); !ok || wanted == v.Major() {
			channels = append(channels, fmt.Sprintf("%d.%d", v.Major(), v.Minor()))
		}
	}
	return channels, nil
}

// channel is the major version of a specification such as 8.x or 8.0.1xx, so that not every channel has to be read.
func (s Spec) channel() (uint64, bool) {
	var major uint64
	n, err := fmt.Sscanf(s.text, "%d.", &major)
	return major, err == nil && n == 1
}

func dotnetChannel(ctx context.Context, i *Installer, base, channel, kind string, want Spec) (release, error) {
	type pack struct {
		Version string `json:"version"`
		Files   []struct {
			Name string `json:"name"`
			RID  string `json:"rid"`
			URL  string `json:"url"`
			Hash string `json:"hash"`
		} `json:"files"`
	}
	var list struct {
		Releases []struct {
			SDK     pack   `json:"sdk"`
			SDKs    []pack `json:"sdks"`
			Runtime pack   `json:"runtime"`
		} `json:"releases"`
	}
	if err := i.json(ctx, base+"/release-metadata/"+channel+"/releases.json", &list); err != nil {
		return release{}, err
	}
	best := release{}
	rid, name := "linux-"+arch(), "dotnet-"+kind
	if i.musl() {
		rid = "linux-musl-" + arch()
	}
	for _, one := range list.Releases {
		packs := append(slices.Clone(one.SDKs), one.SDK)
		if kind == "runtime" {
			packs = []pack{one.Runtime}
		}
		for _, p := range packs {
			v, err := semver.NewVersion(p.Version)
			if err != nil || !want.matches(v) || best.version != nil && !v.GreaterThan(best.version) {
				continue
			}
			for _, f := range p.Files {
				if f.RID != rid || !strings.HasPrefix(f.Name, name) || !strings.HasSuffix(f.Name, ".tar.gz") {
					continue
				}
				best = release{version: v, url: f.URL, sum: strings.ToLower(f.Hash)}
				if base != dotnetVendor {
					best.url = fmt.Sprintf("%s/%s/%s/%s-%s-%s.tar.gz", base, map[string]string{"sdk": "Sdk", "runtime": "Runtime"}[kind], p.Version, name, p.Version, rid)
				}
			}
		}
	}
	return best, nil
}
