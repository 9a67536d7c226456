package agent

import (
	"testing"

	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/variable"
)

// An agent on a machine reaches the server by another address than pods, and so do checkouts and scripts.
func TestReachServer(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"http://10.0.0.1:8080/Shop/_git/shop":  "https://slipway.example/Shop/_git/shop",
		"http://10.0.0.1:8080":                 "https://slipway.example",
		"http://10.0.0.1:8080?x":               "https://slipway.example?x",
		"http://10.0.0.1:80801/Shop/_git/shop": "http://10.0.0.1:80801/Shop/_git/shop",
		"https://elsewhere.example/git":        "https://elsewhere.example/git",
	} {
		work := job.Assignment{Server: "http://10.0.0.1:8080", Repositories: map[string]job.Repository{"self": {URL: text}}, Variables: variable.Of(map[string]string{"v": text})}
		reachServer(&work, "https://slipway.example")
		if got := work.Repositories["self"].URL; got != want || work.Variables.Text("v") != want {
			t.Errorf("%s becomes %s, and as a variable %s; want %s", text, got, work.Variables.Text("v"), want)
		}
	}
}
