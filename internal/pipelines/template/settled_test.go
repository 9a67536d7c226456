package template

import (
	"strings"
	"testing"
)

func TestSettledPartsAreCheckedAsOthers(t *testing.T) {
	t.Parallel()
	check(t, "keys that differ in lower case and are the same without case", `
-- p.yml --
steps:
- script: x
  env:
    s: 1
    ſ: 2
`, "p.yml:5:5: after the templates are expanded, key \"ſ\" stands here a second time, first on line 4 as \"s\": capitals do not make it another key\n")

	// Each inclusion has 1005 values: the reference, and the template's list, step, script, environment and the thousand in it. With the
	// list of p.yml, the script of the 200th is the last that is allowed.
	check(t, "too many values", "-- p.yml --\nsteps:\n"+strings.Repeat("- template: t.yml\n", 201)+
		"-- t.yml --\nsteps:\n- script: x\n  env:\n"+thousandVariables(), "t.yml:4:5: the expansion has more than 200000 values\n")
}

func thousandVariables() string {
	var b strings.Builder
	for i := range 1000 {
		b.WriteString("    V" + strings.Repeat("x", i%40) + string(rune('A'+i/40)) + ": 1\n")
	}
	return b.String()
}
