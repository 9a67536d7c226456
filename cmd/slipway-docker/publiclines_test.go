package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// Command lines of public pipelines are understood: of builds all that is read before the builder is asked.
func TestPublicBuildLines(t *testing.T) {
	t.Parallel()
	d := newDocker(t)
	dir := t.TempDir()
	p := program{getenv: func(k string) string { return d.env[k] }, env: d.env, dir: dir, stdin: strings.NewReader("FROM scratch\n")}
	for _, line := range []string{
		"-t app:1 -f Dockerfile .", "--rm -t app .", "--force-rm --no-cache -t app:latest .", "--pull --rm -f src/Api/Dockerfile -t shop/api:20250101.1 .",
		"--build-arg HTTP_PROXY=http://proxy:3128 --build-arg BUILD_ID=7 --tag app .", "--target build --tag app-build .", "-t acr.example.io/app:1 -t acr.example.io/app:latest .",
		"--label com.example.commit=abc --label a=b -t app .", "-f Release.Dockerfile --output type=local,dest=./artifacts .", "--output ./out --target artifacts .", "-o - .",
		"--platform linux/amd64 -t app .", "--platform=linux/amd64,linux/arm64 --push -t app .", "--cache-from app:latest -t app .",
		"--cache-from type=registry,ref=app:cache --cache-to type=registry,ref=app:cache,mode=max -t app .", "--cache-to type=inline --build-arg BUILDKIT_INLINE_CACHE=1 -t app .",
		"--secret id=npmrc,src=.npmrc -t app .", "--secret id=pat,env=PAT --progress=plain -t app .", "--provenance=false --sbom=false -t app .", "--iidfile id.txt -q .",
		"--metadata-file meta.json --load -t app .", "--network=none -t app .", "--ulimit nofile=1024:1024 --shm-size=1g -t app .", "--add-host db:10.0.0.1 -t app .",
		"--build-context lib=../lib -t app .", "-t app https://github.com/example/app.git#main:docker", "-t app -", "-t app -f - .", "--builder mine -t app .", "--annotation index:a=b -t app .",
		"--attest type=provenance,mode=max -t app .", "--no-cache-filter build -t app .",
	} {
		if _, _, err := p.parseBuild(strings.Fields(line)); err != nil {
			t.Errorf("docker build %s: %v", line, err)
		}
	}
	// Others do what they say without a builder.
	d.dir = dir
	for _, line := range []string{
		"version", "--version", "info", "system info", "system df", "images -a", "image ls -q", "ps -a", "ps -aq", "system prune -af", "system prune --all --force --volumes", "builder prune -f", "image prune -f", "volume prune -f",
		"container prune -f", "rmi -f app", "rm -f app", "login -u a -p b acr.example.io", "logout acr.example.io", "logout", "buildx create --use", "buildx create --name mine --driver docker-container --use --bootstrap",
		"buildx inspect --bootstrap", "buildx ls", "buildx version", "buildx use mine", "buildx rm mine", "context ls", "context use default", "volume ls", "network ls",
	} {
		if _, log, code := d.run(strings.Fields(line)...); code != 0 {
			t.Errorf("docker %s: ended with %d: %s", line, code, log)
		}
	}
	if got := readFile(t, filepath.Join(d.env["DOCKER_CONFIG"], "config.json")); strings.Contains(got, "acr.example.io") {
		t.Errorf("config.json is %s", got)
	}
}
