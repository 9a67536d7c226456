package images_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/images"
	"slipway/internal/images/imagestest"

	"github.com/google/go-cmp/cmp"
)

// A command runs in a container of an image, with folders of this machine that hold afterwards what it left in them.
func TestRun(t *testing.T) {
	t.Parallel()
	w := imagestest.New(t, imagestest.Setup{})
	image := images.Options{ContextDir: w.Folder(nil), DockerfileText: "FROM busybox:1\nENV GREETING=hello WHO=image\nWORKDIR /work\nRUN touch of-the-image\nENTRYPOINT [\"sh\", \"-c\"]\nCMD [\"echo by default\"]\n"}
	folder := w.Folder(map[string]string{"kept.txt": "kept", "changed.txt": "old", "removed.txt": "x", "sub/same.txt": "same", "becomes/file.txt": "x"})
	if err := os.Symlink("kept.txt", filepath.Join(folder, "link")); err != nil {
		t.Fatal(err)
	}
	users := w.Folder(map[string]string{"a": "of the user\n", "sub/b": "b"})
	single := filepath.Join(w.Folder(map[string]string{"one.txt": "one", "other.txt": "not to be seen"}), "one.txt")
	big := strings.Repeat("0123456789abcdef", 600_000) // more than one piece, and than a build step's log may have
	for _, c := range []struct {
		name    string
		process images.Process
		stdin   string
		code    int
		out     string
		errs    string
	}{
		{name: "by default", out: "by default\n"},
		{name: "in the image's folder, with variables over the image's", process: images.Process{Args: []string{"ls; echo $GREETING $WHO; echo bad >&2; exit 7"}, Env: []string{"WHO=job"}}, code: 7, out: "of-the-image\nhello job\n", errs: "bad\n"},
		{name: "another entry point, folder, user and host name", process: images.Process{Entrypoint: []string{"sh"}, Args: []string{"-c", "awk '/^Uid/{print $2}' /proc/self/status; cat /proc/sys/kernel/hostname; echo $PWD"}, Dir: "/tmp", User: "7:8", Hostname: "box"}, out: "7\nbox\n/tmp\n"},
		{name: "standard input and much output", process: images.Process{Entrypoint: []string{"cat"}}, stdin: big, out: big},
		{name: "volumes, also when it fails", code: 3, process: images.Process{Args: []string{
			"cd /v; cat changed.txt; printf new > changed.txt; rm removed.txt; touch x; mkdir made; echo a > made/a; cat /one.txt; printf ONE > /one.txt; ls /v2 | wc -l; rm -r becomes; echo file > becomes; exit 3",
		}, Volumes: []images.Volume{{Source: folder, Target: "/v"}, {Source: single, Target: "/one.txt"}, {Source: folder, Target: "/v2", ReadOnly: true}}}, out: "oldone6\n"},
		{name: "the volume of a user", process: images.Process{Args: []string{"cat a; echo more >> a; touch made; mkdir -p sub/made"}, Dir: "/v", User: "7:8", Volumes: []images.Volume{{Source: users, Target: "/v"}}}, out: "of the user\n"},
	} {
		var out, errs bytes.Buffer
		c.process.Stdout, c.process.Stderr = &out, &errs
		if c.stdin != "" {
			c.process.Stdin = strings.NewReader(c.stdin)
		}
		code, err := images.Run(t.Context(), w.Dial(), image, c.process, nil)
		if err != nil || code != c.code || out.String() != c.out || errs.String() != c.errs {
			t.Errorf("%s: ended with %d, %v: %.200q %.200q", c.name, code, err, out.String(), errs.String())
		}
	}
	if _, err := os.Stat(filepath.Join(users, "sub", "made")); err != nil || readText(t, filepath.Join(users, "a")) != "of the user\nmore\n" || readText(t, filepath.Join(users, "made")) != "" {
		t.Errorf("the user's folder: %v, %q", err, readText(t, filepath.Join(users, "a")))
	}
	got := map[string]string{"one.txt": readText(t, single)}
	err := filepath.WalkDir(folder, func(path string, d os.DirEntry, err error) error {
		rel, _ := filepath.Rel(folder, path)
		switch {
		case err != nil || d.IsDir():
		case d.Type()&os.ModeSymlink != 0:
			got[rel], err = os.Readlink(path)
		default:
			got[rel] = readText(t, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"kept.txt": "kept", "changed.txt": "new", "x": "", "sub/same.txt": "same", "made/a": "a\n", "becomes": "file\n", "link": "kept.txt", "one.txt": "ONE"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the folder (-want +got):\n%s", diff)
	}
	for _, c := range []struct {
		o    images.Options
		p    images.Process
		want string
	}{
		{images.Options{ContextDir: image.ContextDir, DockerfileText: "FROM scratch\n"}, images.Process{}, "names no command"},
		{image, images.Process{Entrypoint: []string{"/not/there"}}, "/not/there"},
		{image, images.Process{Hosts: []string{"a=b"}}, "IP address"},
		{images.Options{ContextDir: image.ContextDir, DockerfileText: "FROM busybox:none\n"}, images.Process{}, "busybox:none is not there: check its name and tag"},
		{images.Options{ContextDir: image.ContextDir, DockerfileText: "FROM localhost:1/x:1\n"}, images.Process{}, "its registry does not answer"},
		{images.Options{ContextDir: image.ContextDir, DockerfileText: "FROM busybox:1\nADD https://nothing.invalid/x.tar /x\n"}, images.Process{}, "ADD https://nothing.invalid/x.tar /x: the builder cannot fetch this: Get "},
		{images.Options{ContextDir: image.ContextDir, DockerfileText: "FROM busybox:1\nRUN echo 'write: No space left on device'; exit 1\n"}, images.Process{}, "the builder's disk is full"},
		{images.Options{ContextDir: image.ContextDir, DockerfileText: "FROM busybox:1\nRUN --security=insecure true\n"}, images.Process{}, "which the builder gives to nobody"},
		{image, images.Process{Volumes: []images.Volume{{Source: w.Socket, Target: "/s"}}}, "no sockets"},
	} {
		c.p.Stdout, c.p.Stderr = &bytes.Buffer{}, &bytes.Buffer{}
		if code, err := images.Run(t.Context(), w.Dial(), c.o, c.p, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("ended with %d, %v, want %q in it", code, err, c.want)
		}
	}
}

func readText(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
