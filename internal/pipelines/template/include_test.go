package template

import "testing"

// What is wrong with the way in which a template is included is said in words that help.
func TestInclusionMistakes(t *testing.T) {
	t.Parallel()
	check(t, "templates that include each other", `
-- p.yml --
steps:
- template: t.yml
-- t.yml --
steps:
- template: dir/u.yml
-- dir/u.yml --
steps:
- template: ../t.yml
`, "dir/u.yml:2:13: templates include each other more than 100 deep: t.yml includes dir/u.yml includes t.yml\n")
	check(t, "templates that extend each other", `
-- p.yml --
extends:
  template: t.yml
-- t.yml --
extends:
  template: u.yml
-- u.yml --
extends:
  template: t.yml
`, "u.yml:2:13: templates include each other more than 100 deep: t.yml includes u.yml includes t.yml\n")
	check(t, "an address in place of a path", `
-- p.yml --
steps:
- template: https://example.com/t.yml
`, "p.yml:2:13: template \"https://example.com/t.yml\" is no path: a template is a file of this repository, or with PATH@ALIAS of one under resources.repositories\n")
	check(t, "a condition beside a template", `
-- p.yml --
steps:
- template: t.yml
  condition: always()
-- t.yml --
steps:
- script: a
`, "p.yml:3:3: unknown key \"condition\" beside template: a template is given parameters alone; it may read one as its own condition, or stand below ${{ if }}\n")
	check(t, "all that is wrong in one text", `
-- p.yml --
steps:
- script: |
    echo ${{ parameters.x }}
    echo ${{ 'a' + 'b' }} ${{ eq(1) }}
    echo ${{ true }}
`, `p.yml:3:14: parameter "x" is not declared in this file: declare it under parameters
p.yml:4:18: the language has no operator +: it joins texts with format('{0}{1}', a, b), chooses with iif(test, a, b), and does not calculate
p.yml:4:31: eq takes 2 arguments, not 1
`)
}
