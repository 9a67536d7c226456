package agent

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// The calls are those of Azure's tasks (gulptask.ts and grunttask.ts in azure-pipelines-tasks).
func TestGulpAndGrunt(t *testing.T) {
	t.Parallel()
	j := newToolJob(t, nil)
	bin := j.path
	j.env["PATH"] = bin + ":" + sysPath
	j.write("gulpfile.js", "")
	j.write("web/Gruntfile.js", "")
	node := j.recorder(filepath.Join(bin, "node"), "", "")
	f := func(calls func() []string, task string, given map[string]string, want ...string) {
		t.Helper()
		j.must(task, given)
		wantCalls(t, calls, want...)
	}
	fails := func(task string, given map[string]string, want string) {
		t.Helper()
		if _, err := j.run(task, given); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s %v: %v, want %s", task, given, err, want)
		}
	}
	fails("gulp@0", map[string]string{"gulpFile": "gone.js"}, "the file "+j.folders.sources+"/gone.js, which gulpFile names, is not there")
	fails("gulp@0", nil, "there is no gulp on PATH, and none is "+j.folders.sources+"/node_modules/gulp/bin/gulp.js: run npm install")
	fails("gulp@1", nil, "name the project's own by gulpjs")
	j.write("node_modules/gulp/bin/gulp.js", "")
	j.write("web/node_modules/grunt-cli/bin/grunt", "")
	f(node, "gulp@0", map[string]string{"targets": "build test"}, "node [SOURCES/node_modules/gulp/bin/gulp.js] [build] [test] [--gulpfile] [SOURCES/gulpfile.js] in SOURCES")
	f(node, "Grunt@0", map[string]string{"gruntFile": "web/Gruntfile.js", "workingDirectory": "web", "arguments": `--env "a b"`},
		"node [SOURCES/web/node_modules/grunt-cli/bin/grunt] [--gruntfile] [SOURCES/web/Gruntfile.js] [--env] [a b] in SOURCES/web")
	gulp := j.recorder(filepath.Join(bin, "gulp"), "", "exit $GULP_EXIT")
	j.env["GULP_EXIT"] = "0"
	f(gulp, "gulp@0", nil, "gulp [--gulpfile] [SOURCES/gulpfile.js] in SOURCES")
	f(gulp, "gulp@1", map[string]string{"cwd": "new"}, "gulp [--gulpfile] [SOURCES/gulpfile.js] in SOURCES/new")
	f(node, "gulp@1", map[string]string{"gulpjs": "node_modules/gulp/bin/gulp.js"}, "node [SOURCES/node_modules/gulp/bin/gulp.js] [--gulpfile] [SOURCES/gulpfile.js] in SOURCES")
	j.write("out/TEST-shop.xml", junitFile)
	j.env["GULP_EXIT"] = "3"
	fails("gulp@1", map[string]string{"publishJUnitResults": "true", "testRunTitle": "shop"}, "gulp exited with code 3")
	if runs := j.testRuns(); len(runs) != 1 || len(runs[0].Results) != 2 {
		t.Errorf("test runs %+v", runs)
	}
}

// Istanbul's calls are those of Azure's tasks.
func TestGulpCoverage(t *testing.T) {
	t.Parallel()
	j := newToolJob(t, map[string]string{"Build.BuildId": "7"})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) }))
	t.Cleanup(server.Close)
	j.client.base = server.URL
	bin := j.path
	j.env["PATH"] = bin + ":" + sysPath
	j.write("gulpfile.js", "")
	j.recorder(filepath.Join(bin, "gulp"), "", "")
	npm := j.recorder(filepath.Join(bin, "npm"), "", "")
	node := j.recorder(filepath.Join(bin, "node"), "", `mkdir -p coverage && echo '<coverage line-rate="0.5" version="1"><packages><package name="p"><classes><class name="c" filename="a.js"><lines><line number="1" hits="1"/></lines></class></classes></package></packages></coverage>' > coverage/cobertura-coverage.xml; exit $NODE_EXIT`)
	j.env["NODE_EXIT"] = "0"
	log := j.must("gulp@1", map[string]string{"enableCodeCoverage": "true", "srcFiles": "src"})
	wantCalls(t, npm, "npm [install] [istanbul] in SOURCES")
	wantCalls(t, node, "node [./node_modules/istanbul/lib/cli.js] [cover] [--report] [cobertura] [--report] [html] [-i] [./src] [./node_modules/mocha/bin/_mocha] [test/*.js] in SOURCES")
	if !strings.Contains(log, "Published code coverage: 1 of 1 lines") {
		t.Errorf("log\n%s", log)
	}
	j.env["NODE_EXIT"] = "1"
	log, err := j.run("gulp@0", map[string]string{"enableCodeCoverage": "true", "testFramework": "Jasmine", "testFiles": "spec/*.js"})
	if err == nil || err.Error() != "node exited with code 1" || !strings.Contains(log, "Published code coverage") {
		t.Errorf("%v\n%s", err, log)
	}
	wantCalls(t, node, "node [./node_modules/istanbul/lib/cli.js] [cover] [--report] [cobertura] [--report] [html] [./node_modules/jasmine/bin/jasmine.js]"+
		" [JASMINE_CONFIG_PATH=node_modules/jasmine/lib/examples/jasmine.json] [spec/*.js] in SOURCES")
}
