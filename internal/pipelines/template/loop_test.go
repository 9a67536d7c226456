package template

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFieldsThatNoValueOfAnEachHas(t *testing.T) {
	t.Parallel()
	const text = `
-- p.yml --
parameters:
- name: services
  type: object
  default:
  - {name: api, folder: src, tests: {unit: true}, port: 80}
  - {name: web, folder: web, Chart: x, tags: [a]}
- name: regions
  type: object
  default: {north: {location: n}, south: {location: s}}
- name: plain
  type: object
  default: [a, b]
steps:
- ${{ each s in parameters.services }}:
  - script: ${{ s.nmae }} ${{ s.name }} ${{ s['foldr'] }}
    ${{ if s.condition }}:
      displayName: ${{ s.chart }}
  - ${{ if eq(s.prot, 80) }}:
    - script: ${{ format('{0} s.nmae', s.tests.uint) }} ${{ s.tests.other }} ${{ this.nmae }} s.nmae ${{ s.port }}
  - ${{ each s in s.tests }}:
    - script: ${{ s.kye }} ${{ s.key }} ${{ s.nmae }}
  - ${{ each tag in s.tags }}:
    - script: ${{ tag }} ${{ tag.nmae }} ${{ s.tag }}
- ${{ each r in parameters.regions }}:
  - script: ${{ r.key }} ${{ r.value.locaton }} ${{ r.valeu }} ${{ r.Value.location }}
- ${{ each p in parameters.plain }}:
  - script: ${{ p }} ${{ p.nmae }}
- template: t.yml
  parameters: {list: [{first: 1}]}
- template: t.yml
  parameters: {list: [{frist: 1}]}
-- t.yml --
parameters: [{name: list, type: object}]
steps:
- ${{ each l in parameters.list }}:
  - script: ${{ l.first }} ${{ l.frist }} ${{ l.firts }}
`
	out, err := Expand(Input{Path: "p.yml", Files: repositoryOf(text)})
	if err != nil {
		t.Fatal(err)
	}
	got := make([]string, len(out.Warnings))
	for i, w := range out.Warnings {
		got[i] = w.At.String() + ": " + w.Message
	}
	want := strings.Split(strings.TrimSpace(`
p.yml:15:17: no value of s has "nmae", which is null therefore, did you mean "name"?
p.yml:15:45: no value of s has "foldr", which is null therefore, did you mean "folder"?
p.yml:17:24: no value of s has "chart", which is null therefore: case matters in keys, write "Chart"
p.yml:18:15: no value of s has "prot", which is null therefore, did you mean "port"?
p.yml:19:40: no value of s has "uint", which is null therefore, did you mean "unit"?
p.yml:25:30: no value of r has "locaton", which is null therefore, did you mean "location"?
p.yml:25:53: no value of r has "valeu", which is null therefore, did you mean "value"?
t.yml:4:47: no value of l has "firts", which is null therefore, did you mean "first"?
`), "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
