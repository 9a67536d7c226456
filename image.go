package slipway

import "strings"

// DockerHub is the registry that an image's name means which begins with none.
const DockerHub = "docker.io"

// ImportedImage is where the registry keeps an imported image of another registry under the installation's own name, so that
// who asks Slipway in that registry's place finds it: gcr.io/distroless/static is library/gcr.io/distroless/static, and golang of
// Docker Hub is library/golang. A port follows an underscore.
func ImportedImage(host, repository string) string {
	if host == DockerHub {
		official := strings.TrimPrefix(repository, "library/")
		if !strings.Contains(official, "/") {
			return "library/" + official
		}
	}
	return "library/" + strings.ReplaceAll(host, ":", "_") + "/" + repository
}
