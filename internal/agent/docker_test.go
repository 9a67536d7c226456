package agent

import (
	"os"
	"path/filepath"
	"testing"
)

// dockerbuild.ts and dockerpush.ts of DockerV2 name an image without a tag, which is docker's latest, when the input is empty.
func TestDockerWithoutATag(t *testing.T) {
	t.Parallel()
	j := newToolJob(t, nil)
	j.env["PATH"] = j.path + ":" + os.Getenv("PATH")
	j.work.Registry = "registry.test"
	j.write("Dockerfile", "FROM scratch\n")
	calls := j.recorder(filepath.Join(j.path, "docker"), "", "")
	given := map[string]string{"command": "buildAndPush", "repository": "Shop/Web", "tags": "", "addPipelineData": "false", "addBaseImageData": "false"}
	j.must("Docker@2", given)
	given["command"] = "push"
	j.must("Docker@2", given)
	given["tags"] = "1,\n2"
	j.must("Docker@2", given)
	wantCalls(t, calls, "docker [build] [--file] [SOURCES/Dockerfile] [--tag] [registry.test/shop/web] [--push] [SOURCES] in SOURCES", "docker [push] [registry.test/shop/web] in SOURCES",
		"docker [push] [registry.test/shop/web:1] in SOURCES", "docker [push] [registry.test/shop/web:2] in SOURCES")
}
