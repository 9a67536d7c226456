package agent

import (
	"os"
	"strings"
	"testing"
)

func TestFileTransform(t *testing.T) {
	t.Parallel()
	variables := map[string]string{"Data.Url": "https://$(Host)/", "Host": "example.com", "Main": "Server=db", "Build.BuildId": "7", "Umlaut": "grün"}
	settings := "{\n  \"Data\": {\"Url\": \"old\"}, \"Build\": {\"BuildId\": 1}, \"Umlaut\": \"x\"\n}\n"
	want := "{\n  \"Data\": {\"Url\": \"https://example.com/\"}, \"Build\": {\"BuildId\": 1}, \"Umlaut\": \"grün\"\n}\n"
	const config = `<configuration><connectionStrings><add name="Main" connectionString="old"/></connectionStrings></configuration>`
	wantConfig := strings.ReplaceAll(config, "old", "Server=db")
	files := []string{"app/appsettings.json", settings, "app/sub/more.json", `{"Host": "\ufeff"}`, "app/web.config", config, "app/broken.config", "<a>", "app/empty.json", "\n"}

	w := newWorkbench(t, variables, files...)
	w.must("FileTransform@1", map[string]string{"folderPath": "app", "fileType": "json", "targetFiles": `**\appsettings.json`})
	if got := w.read("app/appsettings.json"); got != want || w.read("app/web.config") != config || !strings.Contains(w.read("app/sub/more.json"), "ufeff") {
		t.Errorf("%s", got)
	}
	w.must("FileTransform@1", map[string]string{"folderPath": "app", "fileType": "xml"})
	if got := w.read("app/web.config"); got != wantConfig {
		t.Errorf("%s", got)
	}
	w.says("##[warning]Broken.config: read XML: XML syntax error on line 1: unexpected EOF.")
	w.fails("FileTransform@1", map[string]string{"folderPath": "app", "fileType": "json", "targetFiles": "gone.json"}, "no JSON file matches gone.json")
	w.fails("FileTransform@1", map[string]string{"folderPath": "gone", "fileType": "json"}, "there is no folder or zip file S/gone")
	w.fails("FileTransform@1", map[string]string{"fileType": "json"}, "0 files match S/**/*.zip: the input folderPath must mean one folder or zip file")
	w.write("app/bad.json", "{")
	w.fails("FileTransform@1", map[string]string{"folderPath": "app", "fileType": "json", "targetFiles": "bad.json"}, "bad.json: read JSON: unexpected EOF")

	// A zip file is packed again, with what it held besides.
	w = newWorkbench(t, variables, files...)
	w.must("ArchiveFiles@2", map[string]string{"rootFolderOrFile": "app", "includeRootFolder": "false", "archiveFile": "out/app.zip"})
	w.must("FileTransform@2", map[string]string{"folderPath": w.folders.sources + "/**/*.zip", "jsonTargetFiles": "appsettings.json", "xmlTargetFiles": "**/*.config"})
	program(t, w.absolute("out"), "python3", "-m", "zipfile", "-e", "app.zip", "x")
	if got := w.read("out/x/appsettings.json"); got != want || w.read("out/x/web.config") != wantConfig || w.read("out/x/broken.config") != "<a>" {
		t.Errorf("%v\n%s", w.tree("out"), got)
	}
	w.fails("FileTransform@2", map[string]string{"folderPath": "app"}, "no transformation is chosen: set jsonTargetFiles or xmlTargetFiles")
	w.fails("FileTransform@2", map[string]string{"folderPath": "app", "jsonTargetFiles": "empty.json", "errorOnInvalidSubstitution": "true"},
		"no variable fits the JSON files: names of variables are paths of keys with dots between, as Data.Connection.Name")
	w.must("FileTransform@2", map[string]string{"folderPath": "app", "jsonTargetFiles": "empty.json"})
	w.says("##[error]No variable fits the JSON files: names of variables are paths of keys with dots between, as Data.Connection.Name.")
	w.must("FileTransform@2", map[string]string{"folderPath": "app", "xmlTargetFiles": "broken.config", "errorOnInvalidSubstitution": "true"})
}

// The encoding and the byte order mark of a file stay. Python writes it and reads it back.
func TestFileTransformEncodings(t *testing.T) {
	t.Parallel()
	for _, encoding := range []string{"utf-8", "utf-8-sig", "utf-16"} {
		w := newWorkbench(t, map[string]string{"name": "grün"})
		program(t, w.folders.sources, "python3", "-c", "import sys; open('a.json','w',encoding=sys.argv[1]).write('{\"name\": \"é\"}')", encoding)
		w.must("FileTransform@1", map[string]string{"folderPath": w.folders.sources, "fileType": "json"})
		got := program(t, w.folders.sources, "python3", "-X", "utf8", "-c", "import sys; print(open('a.json',encoding=sys.argv[1]).read())", encoding)
		if strings.TrimSpace(got) != `{"name": "grün"}` {
			t.Errorf("%s: %q", encoding, got)
		}
	}
}

// Links in a zip file stay links. Python makes the file and looks at what became of it.
func TestFileTransformKeepsLinks(t *testing.T) {
	t.Parallel()
	w := newWorkbench(t, map[string]string{"name": "new"})
	program(t, w.folders.sources, "python3", "-c", `
import zipfile
with zipfile.ZipFile("a.zip", "w") as z:
    z.writestr("a.json", '{"name": "old"}')
    link = zipfile.ZipInfo("link.json")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    z.writestr(link, "a.json")
`)
	w.must("FileTransform@1", map[string]string{"folderPath": "a.zip", "fileType": "json", "targetFiles": "a.json"})
	got := program(t, w.folders.sources, "python3", "-c", `
import zipfile
z = zipfile.ZipFile("a.zip")
for i in z.infolist(): print(i.filename, oct(i.external_attr >> 28), z.read(i).decode())
`)
	if got != "a.json 0o10 {\"name\": \"new\"}\nlink.json 0o12 a.json\n" {
		t.Errorf("%s", got)
	}
	w.must("ExtractFiles@1", map[string]string{"archiveFilePatterns": "a.zip", "destinationFolder": "out"})
	if to, err := os.Readlink(w.absolute("out/link.json")); err != nil || to != "a.json" {
		t.Errorf("%q, %v", to, err)
	}
}
