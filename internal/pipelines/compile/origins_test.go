package compile

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestExpandWithOrigins(t *testing.T) {
	t.Parallel()
	in := input(`
-- p.yml --
trigger: [main]
steps:
- template: t.yml
  parameters:
    text: hello
- bash: echo done
-- t.yml --
parameters:
- name: text
- name: extra
  type: object
  default: {a: 1}
steps:
- ${{ each i in split('x,y', ',') }}:
  - script: |
      echo ${{ i }}
      echo
    displayName: ${{ parameters.text }}
    env: ${{ parameters.extra }}
`)
	want := `trigger:                                                    # p.yml:1
- main                                                      # p.yml:1
steps:                                                      # p.yml:2
- script: |                                                 # t.yml:8
    echo x
    echo
  displayName: hello                                        # t.yml:11
  env:                                                      # t.yml:12
    a: 1                                                    # t.yml:5
- script: |                                                 # t.yml:8
    echo y
    echo
  displayName: hello                                        # t.yml:11
  env:                                                      # t.yml:12
    a: 1                                                    # t.yml:5
- bash: echo done                                           # p.yml:6
`
	got, err := ExpandWithOrigins(in)
	if diff := cmp.Diff(want, string(got)); err != nil || diff != "" {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
	// The comments change nothing.
	plain, err := Expand(in)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Expand(Input{Path: "p.yml", Files: archive{"p.yml": string(got)}})
	if diff := cmp.Diff(string(plain), string(again)); err != nil || diff != "" {
		t.Errorf("%v (-plain +again)\n%s", err, diff)
	}
}
