package localrun_test

import (
	"strings"
	"testing"
)

// A port that names none of this machine is mapped to a free one, which a variable tells, in the job's container, too.
func TestServicePortsThatTheEngineChooses(t *testing.T) {
	t.Parallel()
	w := inPodman(t, `
resources:
  containers:
  - container: page
    image: localhost/web:1
    ports: [80]
jobs:
- job: A
  services: {web: page}
  steps:
  - checkout: none
  - bash: |
      for i in 1 2 3 4 5 6 7 8 9 10; do
        if exec 3<>/dev/tcp/127.0.0.1/$(agent.services.web.ports.80); then break; fi
        sleep 1
      done
      printf 'GET / HTTP/1.0\r\n\r\n' >&3
      cat <&3
- job: B
  container: localhost/tools:1
  services: {web: page}
  steps:
  - checkout: none
  - script: echo "in the container it is $(agent.services.web.ports.80) too" | sed 's/[0-9][0-9]*/a number/'
`)
	if r := w.run(t.Context()); !r.Succeeded() {
		t.Errorf("result %s", r.Result)
	}
	for _, line := range []string{"| pong", "| in the container it is a number too\n"} {
		if !strings.Contains(w.out.String(), line) {
			t.Errorf("the log has no %q:\n%s", line, w.out.String())
		}
	}
}
