package localrun_test

import (
	"strings"
	"testing"

	"slipway/internal/pipelines/schedule"
)

// Steps of a job in a container run on the machine itself, with the files, outputs and environment of the job. The image has no bash,
// so that one that runs is the machine's.
func TestHostOfJobsInContainers(t *testing.T) {
	t.Parallel()
	w := inPodman(t, `
resources:
  containers:
  - container: tools
    image: localhost/own:1
    env: {KIND: tools}
jobs:
- job: both
  container: localhost/own:1
  variables: {colour: red}
  steps:
  - script: mkdir made && echo inside >made/file.txt; echo "inside as $(id -u)"
  - bash: |
      echo "host has $BASH_VERSINFO, $(cat made/file.txt), $(cat hello.txt), $COLOUR"
      echo outside >made/other.txt
      echo "##vso[task.setvariable variable=word;isOutput=true]of-the-host"
    name: set
    target: host
  - script: echo "$(set.word) $(cat made/other.txt)"
  - script: echo "$KIND $(cat made/other.txt) as $(id -u)"
    target: tools
  - bash: exit 3
    target: host
    continueOnError: true
  - publish: made
    artifact: drop
- job: explicit
  container: {image: localhost/own:1, options: --user 1234}
  steps:
  - script: echo x >mine.txt; echo "explicit $(id -u)"
  - bash: cat mine.txt hello.txt
    target: host
`)
	w.write("hello.txt", "hello from the working tree")
	r := w.run(t.Context())
	if r.Result != schedule.SucceededWithIssues {
		t.Fatalf("result %s\n%s", r.Result, w.out.String())
	}
	w.said("both | inside as 0", "both | of-the-host outside", "both | tools outside as 0", "explicit | explicit 1234", "explicit | hello from the working tree")
	for _, want := range []string{"both | host has ", ", inside, hello from the working tree, red\n", "exited with code 3"} {
		if !strings.Contains(w.out.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, w.out.String())
		}
	}
}
