package web

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

func TestWhyPage(t *testing.T) {
	t.Parallel()
	s := newPipelineSite(t)
	id := s.push("jobs:\n- job: Make\n  steps: [{bash: x}]\n- job: Never\n  condition: eq(1, 2)\n  steps: [{bash: x}]\n- job: Late\n  dependsOn: Make\n  steps: [{bash: x}]\n")
	page := s.get("/_build/explain?buildId=" + id.String())
	for _, want := range []string{"waits for job Make, which is queued", "was skipped: eq(1, 2) is False", "<code>eq(1, 2)</code>", "all of which would be decided so today"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q:\n%s", want, page)
		}
	}
	if run := s.get("/_build/results?buildId=" + id.String()); !strings.Contains(run, "/Shop/_build/explain?buildId="+id.String()) {
		t.Error("the run's page does not lead there")
	}
	id = s.push("jobs:\n- job: A\n  condition: eq(1, 2)\n  steps: [{bash: x}]\n- job: B\n  dependsOn: A\n  steps: [{bash: x}]\n")
	page = s.get("/_build/explain?buildId=" + id.String())
	if want := "A is Skipped; what was skipped counts as not succeeded: with condition: not(or(failed(), canceled())) it runs nevertheless"; !strings.Contains(page, want) {
		t.Errorf("the page does not say %q:\n%s", want, page)
	}
	id = s.push("steps:\n- bash: x\n  condtion: always()\n")
	page = s.get("/_build/explain?buildId=" + id.String())
	for _, want := range []string{"Nothing began, since the pipeline could not be read", "azure-pipelines.yml:3:3", "condtion"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page of a broken file does not say %q:\n%s", want, page)
		}
	}
}

// A run of many jobs is explained on several pages.
func TestWhyPageOfManyJobs(t *testing.T) {
	t.Parallel()
	s := newPipelineSite(t)
	var file strings.Builder
	file.WriteString("jobs:\n")
	for n := range 1100 {
		fmt.Fprintf(&file, "- job: J%d\n  condition: eq(1, 2)\n  steps: [{bash: x}]\n", n)
	}
	id := s.push(file.String())
	page := s.get("/_build/explain?buildId="+id.String(), "1 to 1000 of 1101 stages, jobs and steps", "&amp;from=1001\">More<", ">J0 <")
	if strings.Contains(page, ">J1099 <") {
		t.Error("the first page has all jobs")
	}
	if page := s.get("/_build/explain?buildId="+id.String()+"&from=1001", ">J1099 <", "1001 to 1101 of 1101"); strings.Contains(page, ">J0 <") || strings.Contains(page, ">More<") {
		t.Error("the last page has the first job, or is not the last")
	}
}

func TestLimitsAndWebhooksPages(t *testing.T) {
	t.Parallel()
	s := newPipelineSite(t)
	expect := func(page string, wants ...string) {
		t.Helper()
		for _, want := range wants {
			if !strings.Contains(page, want) {
				t.Errorf("the page does not say %q:\n%s", want, page)
			}
		}
	}
	expect(s.get("/_settings/jobs"), "0 run, 0 wait", "no limit")
	s.post("/_settings/jobs", url.Values{"jobs": {"3"}, "runJobs": {""}})
	expect(s.get("/_settings/jobs"), `value="3"`, `name="limited" checked`)
	s.post("/_settings/jobs/scope", url.Values{"of": {"installation"}})
	s.post("/_settings/jobs/scope", url.Values{"of": {"project"}})
	if page := s.get("/_settings/jobs"); strings.Contains(page, `name="limited" checked`) {
		t.Errorf("jobs are still limited:\n%s", page)
	}
	s.post("/_settings/jobs/scope", url.Values{"of": {"project"}, "limited": {"on"}})
	expect(s.get("/_settings/jobs"), `name="limited" checked`)
	expect(s.get("/_settings/retention"), "0 runs go now", `name="artifacts"`)
	s.post("/_settings/retention", url.Values{"runs": {"90"}, "pullRequestRuns": {"5"}, "artifacts": {"14"}, "recent": {"0"}})
	expect(s.get("/_settings/retention"), `value="90"`, `value="14"`)
	s.post("/_settings/webhooks", url.Values{"name": {"git hub"}, "address": {"github"}, "secret": {"hunter2"}})
	page := s.get("/_settings/webhooks")
	expect(page, "/_apis/public/distributedtask/webhooks/github", "HMAC-SHA1 in X-Hub-Signature", "no pipeline")
	if strings.Contains(page, "hunter2") {
		t.Error("the page shows the secret")
	}
	s.post("/_settings/webhooks", url.Values{"delete": {"1"}})
	expect(s.get("/_settings/webhooks"), "There is none yet")
}
