package ociserver_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"slipway/internal/registry/transfer"
)

func (w *world) transferTo() transfer.Registry {
	return transfer.Registry{URL: w.url, Username: "any", Password: w.admin}
}

// imported runs an import and returns what it says of each image: its name and whether anything was copied.
func (w *world) imported(i transfer.Import, o transfer.Options) (list []string) {
	w.Helper()
	err := i.Run(context.Background(), w.transferTo(), o, func(r transfer.Result) {
		state := "copied"
		if r.Copied == 0 {
			state = "there"
		}
		list = append(list, r.Name+" "+state)
	})
	if err != nil {
		w.Errorf("import %s: %v", i.Source, err)
	}
	return list
}

// multi is an index for two platforms, and something about the index and about its first image.
func (w *world) multi(to string) v1.ImageIndex {
	w.Helper()
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, architecture := range []string{"amd64", "arm64"} {
		image, err := random.Image(500, 1)
		if err != nil {
			w.Fatal(err)
		}
		config, err := image.ConfigFile()
		if err != nil {
			w.Fatal(err)
		}
		config.OS, config.Architecture = "linux", architecture
		if image, err = mutate.ConfigFile(mutate.MediaType(image, types.OCIManifestSchema1), config); err != nil {
			w.Fatal(err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: architecture}}})
	}
	ref := w.ref(to)
	if err := remote.WriteIndex(ref, index, w.as()); err != nil {
		w.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		w.Fatal(err)
	}
	root, err := partial.Descriptor(index)
	if err != nil {
		w.Fatal(err)
	}
	for _, subject := range []v1.Descriptor{*root, manifest.Manifests[0]} {
		about, err := random.Image(100, 1)
		if err != nil {
			w.Fatal(err)
		}
		about = mutate.Subject(mutate.MediaType(about, types.OCIManifestSchema1), v1.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size}).(v1.Image)
		d, _ := about.Digest()
		if err := remote.Write(ref.Context().Digest(d.String()), about, w.as()); err != nil {
			w.Fatal(err)
		}
	}
	return index
}

func (w *world) about(repository string, d v1.Hash) int {
	w.Helper()
	index, err := remote.Referrers(w.ref(repository+":x").Context().Digest(d.String()), w.as())
	if err != nil {
		w.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		w.Fatal(err)
	}
	return len(manifest.Manifests)
}

// Images with their signatures go from one registry by a file to another, as to a site without network.
func TestExportImport(t *testing.T) {
	t.Parallel()
	from, to := sqlite(t), sqlite(t)
	index := from.multi("shop/multi:v1")
	web := from.push("shop/web:v1")
	file := filepath.Join(t.TempDir(), "images.tar")
	all := transfer.Options{Referrers: true}
	about := 0
	err := transfer.Export(context.Background(), from.transferTo(), []string{"shop/multi:v1", from.host + "/shop/web:v1"}, file, all, func(r transfer.Result) { about += r.Referrers })
	if err != nil || about != 2 {
		t.Fatal(about, err)
	}
	want := []string{"shop/multi:v1 copied", "shop/web:v1 copied"}
	if diff := cmp.Diff(want, to.imported(transfer.Import{Source: file}, all)); diff != "" {
		t.Errorf("the first time (-want +got)\n%s", diff)
	}
	to.pull("shop/web:v1", web)
	d, _ := index.Digest()
	got, err := remote.Index(to.ref("shop/multi:v1"), to.as())
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(got); err != nil {
		t.Error(err)
	}
	manifest, _ := index.IndexManifest()
	if g, _ := got.Digest(); g != d || to.about("shop/multi", d) != 1 || to.about("shop/multi", manifest.Manifests[0].Digest) != 1 {
		t.Errorf("digest %s, want %s; %d and %d about it", g, d, to.about("shop/multi", d), to.about("shop/multi", manifest.Manifests[0].Digest))
	}
	want = []string{"shop/multi:v1 there", "shop/web:v1 there"}
	if diff := cmp.Diff(want, to.imported(transfer.Import{Source: file}, all)); diff != "" {
		t.Errorf("the second time (-want +got)\n%s", diff)
	}
	want = []string{"shop/sub/multi:v1 copied", "shop/sub/web:v1 copied"}
	if diff := cmp.Diff(want, to.imported(transfer.Import{Source: file, Name: "shop/sub/"}, transfer.Options{})); diff != "" {
		t.Errorf("below a name (-want +got)\n%s", diff)
	}
	if n := to.about("shop/sub/multi", d); n != 0 {
		t.Errorf("%d about an image that was to come alone", n)
	}

	out, err := exec.CommandContext(t.Context(), "skopeo", "inspect", "--raw", "oci-archive:"+file+":shop/multi:v1").CombinedOutput()
	if raw, _ := index.RawManifest(); err != nil || !bytes.Equal(bytes.TrimSpace(out), bytes.TrimSpace(raw)) {
		t.Errorf("skopeo reads %s, %v", out, err)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(file), ".*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	missing := filepath.Join(t.TempDir(), "none.tar")
	if err := transfer.Export(context.Background(), from.transferTo(), []string{"shop/web:v1", "shop/web:v2"}, missing, all, func(transfer.Result) {}); err == nil || !strings.Contains(err.Error(), "find shop/web:v2") {
		t.Errorf("a tag that is not there: %v", err)
	}
	if list, _ := os.ReadDir(filepath.Dir(missing)); len(list) != 0 {
		t.Errorf("half an archive is left: %v", list)
	}
}

func TestImportPlatforms(t *testing.T) {
	t.Parallel()
	from, to := sqlite(t), sqlite(t)
	from.multi("shop/multi:v1")
	source := "http://" + from.host + "/shop/multi:v1"
	in := transfer.Import{Source: source, Username: "any", Password: from.admin}
	in.Name = "shop/one:v1"
	to.imported(in, transfer.Options{Platforms: []string{"linux/arm64"}})
	if d, err := remote.Get(to.ref("shop/one:v1"), to.as()); err != nil || d.MediaType != types.OCIManifestSchema1 {
		t.Errorf("one platform: %+v, %v", d, err)
	}
	in.Name = "shop/two:v1"
	if diff := cmp.Diff([]string{"shop/two:v1 copied"}, to.imported(in, transfer.Options{Platforms: []string{"linux/arm64", "linux/amd64"}})); diff != "" {
		t.Error(diff)
	}
	err := in.Run(context.Background(), to.transferTo(), transfer.Options{Platforms: []string{"linux/s390x"}}, func(transfer.Result) {})
	if err == nil || !strings.Contains(err.Error(), "has no image for linux/s390x: it has linux/amd64, linux/arm64") {
		t.Errorf("a platform that is not there: %v", err)
	}
	in.Password = "wrong-wrong-wrong-wrong-wrong"
	if err := in.Run(context.Background(), to.transferTo(), transfer.Options{}, func(transfer.Result) {}); err == nil {
		t.Error("a wrong password was taken")
	}
}

// Archives of docker, compressed or not, and layouts in folders come in under the names that they have or are given.
func TestImportArchives(t *testing.T) {
	t.Parallel()
	w, folder := sqlite(t), t.TempDir()
	image, err := random.Image(3000, 2)
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag("docker.example/shop/saved:3")
	if err != nil {
		t.Fatal(err)
	}
	saved := filepath.Join(folder, "saved.tar")
	if err := tarball.WriteToFile(saved, tag, image); err != nil {
		t.Fatal(err)
	}
	plain, err := os.ReadFile(saved)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(plain); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(saved+".gz", b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	made, err := layout.Write(filepath.Join(folder, "layout"), empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := made.AppendImage(image, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "v7"})); err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(folder, "list.txt")
	if err := os.WriteFile(list, []byte("# ours\n"+saved+" shop/listed:1\n\n"+saved+"   # as it is called\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(i transfer.Import, want string) {
		t.Helper()
		if diff := cmp.Diff([]string{want}, w.imported(i, transfer.Options{})); diff != "" {
			t.Errorf("%s (-want +got)\n%s", i.Source, diff)
		}
	}
	f(transfer.Import{Source: saved}, "shop/saved:3 copied")
	f(transfer.Import{Source: saved + ".gz"}, "shop/saved:3 there")
	f(transfer.Import{Source: saved, Name: "shop/other"}, "shop/other:3 copied")
	f(transfer.Import{Source: string(made), Name: "shop/laid"}, "shop/laid:v7 copied")
	f(transfer.Import{Source: saved, Mirror: true}, "library/docker.example/shop/saved:3 copied")
	if err := (transfer.Import{Source: string(made), Mirror: true}).Run(t.Context(), w.transferTo(), transfer.Options{}, func(transfer.Result) {}); err == nil || !strings.Contains(err.Error(), "library/HOST/NAME:TAG") {
		t.Errorf("a mirror of what has no name: %v", err)
	}
	f(transfer.Import{Source: "docker-archive:" + saved}, "shop/saved:3 there") // as skopeo writes it
	f(transfer.Import{Source: "oci:" + string(made), Name: "shop/laid"}, "shop/laid:v7 there")
	imports, err := transfer.ReadList(list)
	if diff := cmp.Diff([]transfer.Import{{Source: saved, Name: "shop/listed:1"}, {Source: saved}}, imports); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	w.pull("shop/laid:v7", image)
	got, err := remote.Image(w.ref("shop/saved:3"), w.as())
	if err != nil {
		t.Fatal(err)
	}
	wantConfig, _ := image.ConfigName()
	if gotConfig, err := got.ConfigName(); err != nil || gotConfig != wantConfig { // the layers are compressed anew, the configuration is not
		t.Errorf("configuration %s, %v, want %s", gotConfig, err, wantConfig)
	}
	wrong := func(i transfer.Import, want string) {
		t.Helper()
		err := i.Run(context.Background(), w.transferTo(), transfer.Options{}, func(transfer.Result) {})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", i, err, want)
		}
	}
	wrong(transfer.Import{Source: string(made)}, "does not say what its image is called")
	wrong(transfer.Import{Source: list}, "it is no tar file")
	wrong(transfer.Import{Source: folder}, "is no OCI layout")
	wrong(transfer.Import{Source: "docker-archive:" + folder + "/none.tar"}, "open "+folder+"/none.tar")
	wrong(transfer.Import{Source: saved, Name: "Shop/Web"}, "image name")
	wrong(transfer.Import{Source: filepath.Join(folder, "NONE.tar")}, "neither a file, a folder nor the name of an image")
}
