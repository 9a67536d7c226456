package template

import "testing"

// What Azure DevOps' preview answers to these files, as PGielniak/azdo-pipeline-emulator (research/experiments) recorded it: the
// documentation does not say, or says otherwise.
func TestAsAzureDevOpsPreviewsIt(t *testing.T) {
	t.Parallel()
	check(t, "E02-general/split-delimiter-chars: the separator is one text", `
-- p.yml --
variables: {probe: "${{ join('|', split('a,b;c,,', ',;')) }}"}
`, "variables: {probe: 'a,b;c,,'}\n")
	check(t, "E02-members: case matters in the keys of objects", `
-- p.yml --
parameters: [{name: obj, type: object, default: {CamelKey: value}}]
variables: {a: "${{ parameters.OBJ.CamelKey }}", b: "${{ parameters.obj.camelkey }}", c: "${{ parameters.obj['CAMELKEY'] }}"}
`, "variables: {a: value, b: , c: }\n")
	check(t, "E02-filtered-arrays/nested-filter-dot, object-array-nested-dot: a second * goes into each element", `
-- p.yml --
parameters:
- name: data
  type: object
  default:
    groups: [[{id: 100}, {id: 101}], [{id: 200}]]
    nested: {left: {children: [{value: L1}, {value: L2}]}, right: {children: [{value: R1}]}}
variables: {a: "${{ join(',', parameters.data.groups.*.*.id) }}", b: "${{ join(',', parameters.data.nested.*.children.*.value) }}"}
`, "variables: {a: '100,101,200', b: 'L1,L2,R1'}\n")
	check(t, "E02-filtered-arrays/array-property-dot: null in an object is the empty text", `
-- p.yml --
parameters: [{name: rows, type: object, default: [{id: 1}, {id: }]}]
variables: {probe: "${{ replace(convertToJson(parameters.rows.*.id), ' ', '') }}"}
`, "variables: {probe: \"[\\n1,\\n\\\"\\\"\\n]\"}\n")
	check(t, "E02-coercion/object-same-reference: an object equals itself, and no other that is alike", `
-- p.yml --
parameters: [{name: a, type: object, default: {k: v}}, {name: b, type: object, default: {k: v}}]
variables: {same: "${{ eq(parameters.a, parameters.a) }}", alike: "${{ eq(parameters.a, parameters.b) }}"}
`, "variables: {same: 'True', alike: 'False'}\n")
	check(t, "E03-conditionals/interrupted-else-mapping: entries may stand between if and else", `
-- p.yml --
steps:
- script: x
  env:
    ${{ if eq(1, 2) }}:
      NOT: no
    BETWEEN: between
    ${{ else }}:
      ELSE: yes
- ${{ if eq(1, 2) }}:
  - script: not
- script: interruption
- ${{ elseif eq(2, 2) }}:
  - script: selected
- ${{ else }}:
  - script: not
`, "steps:\n- script: x\n  env: {BETWEEN: between, ELSE: yes}\n- script: interruption\n- script: selected\n")
	check(t, "E03-insert/chain-insert-between, chain-each-between: other directives may not", `
-- p.yml --
variables:
  ${{ if eq(1, 2) }}:
    A: a
  ${{ insert }}:
    B: b
  ${{ else }}:
    A: c
`, "p.yml:6:3: else follows an if or elseif in the same collection, here is none before it, or an each, insert or else between\n")
	check(t, "E03-interpolation/whitespace-around-lone-string: the spaces stay", `
-- p.yml --
variables: {probe: "  ${{ 'x' }}  "}
`, "variables: {probe: '  x  '}\n")
	check(t, "E03-parameters/default-expression, -literal-string-on-number, values-on-object, type-root-schema-only", `
-- p.yml --
parameters:
- {name: p, type: string, default: "${{ 'it''s' }}"}
- {name: n, type: number, default: "${{ '42' }}"}
- {name: o, type: object, default: {}, values: [a]}
- {name: pool, type: pool, default: {vmImage: ubuntu-latest}}
pool: ${{ parameters.pool }}
variables: {p: "${{ parameters.p }}", n: "${{ parameters.n }}", o: "${{ convertToJson(parameters.o) }}"}
`, "pool: {vmImage: ubuntu-latest}\nvariables: {p: it's, n: '42', o: '{}'}\n")
	const refused = "a default is read before every expression: write a value, and what depends on others where the parameter is read: ${{ coalesce(parameters.NAME, …) }}\n"
	check(t, "E03-parameters/default-expression-parameter, -function, -literal-number-on-string", `
-- p.yml --
parameters:
- {name: a, default: b}
- {name: b, default: "${{ parameters.a }}"}
- {name: c, default: "${{ lower('C') }}"}
- {name: d, default: "${{ 42 }}"}
- {name: e, default: "${{ 'x' }}y"}
`, "p.yml:3:22: "+refused+"p.yml:4:22: "+refused+"p.yml:5:22: "+refused+"p.yml:6:22: "+refused)
	check(t, "E02-context/parameters-missing, parameters-property-case; E03-if/untaken-body-not-evaluated: what is not declared cannot be read, where it is", `
-- p.yml --
parameters: [{name: myParam, default: x}]
variables:
  a: ${{ parameters.MYPARAM }}
  b: ${{ coalesce(parameters.myParm, 'y') }}
  c: ${{ parameters['other'] }}
  ${{ if eq(1, 2) }}:
    d: ${{ parameters.missing }}
`, "p.yml:4:19: parameter \"myParm\" is not declared in this file, did you mean \"myParam\"?\n"+
		"p.yml:5:10: parameter \"other\" is not declared in this file: declare it under parameters\n")
	check(t, "E02-context/parameters-undeclared-block", `
-- p.yml --
variables: {a: "${{ parameters.myParam }}"}
`, "p.yml:1:21: parameter \"myParam\" is not declared in this file: declare it under parameters\n")
	check(t, "E03-insert/collision-case, -from-each, -literal-after: a key stands once, in whatever letters", `
-- p.yml --
parameters: [{name: extra, type: object, default: {foo: from-insert}}]
variables:
  FOO: from-literal
  ${{ insert }}: ${{ parameters.extra }}
  ${{ each pair in parameters.extra }}:
    ${{ pair.key }}: ${{ pair.value }}
`, "p.yml:1:52: after the templates are expanded, key \"foo\" stands here a second time, first on line 3 as \"FOO\": capitals do not make it another key\n"+
		"p.yml:6:5: after the templates are expanded, key \"foo\" stands here a second time, first on line 3 as \"FOO\": capitals do not make it another key\n")
	check(t, "E02-general/iif-lazy: both values are evaluated", `
-- p.yml --
variables: {probe: "${{ iif(true, 'yes', lt(1, 'bad')) }}"}
`, "p.yml:1:42: lt: cannot compare a number with string 'bad'\n")
	check(t, "E03-interpolation/key-object: a key is text", `
-- p.yml --
parameters: [{name: obj, type: object, default: {A: a}}, {name: list, type: object, default: [a]}]
variables:
  ${{ parameters.obj }}: x
  ${{ parameters.list }}: y
`, "p.yml:3:3: a key is text, and this is an object: write ${{ insert }}: before it to put its entries here\n"+
		"p.yml:4:3: a key is text, and this is an array: write ${{ insert }}: before it to put its entries here\n")
	check(t, "E03-insert/value-empty, empty-object: nothing is no map", `
-- p.yml --
variables:
  BEFORE: before
  ${{ insert }}:
  ${{ if true }}:
    ${{ insert }}: {}
  AFTER: after
`, "p.yml:3:3: under ${{ insert }} stands a map, and here is nothing: leave it out, or write {}\n")
	check(t, "E03-interpolation/whitespace-around-lone-object: a map with spaces around it is none", `
-- p.yml --
parameters: [{name: env, type: object, default: {ALPHA: a}}]
steps:
- script: x
  env: '  ${{ parameters.env }}  '
`, "p.yml:4:11: an object cannot stand inside text: take the spaces and line breaks around it away\n")
	check(t, "E03-walk/each-var-named-variables, -parameters-shadow, -eq, -in, each-var-case-fold: a name that has a meaning stays free", `
-- p.yml --
parameters: [{name: items, type: object, default: [alpha]}]
steps:
- ${{ each Variables in parameters.items }}:
  - script: x
- ${{ each parameters in parameters.items }}:
  - script: x
- ${{ each eq in parameters.items }}:
  - script: x
- ${{ each in in parameters.items }}:
  - script: x
- ${{ each ITEM in parameters.items }}:
  - ${{ each item in parameters.items }}:
    - script: ${{ item }}
`, "p.yml:3:12: variables has a meaning of its own in expressions: take another name for the variable of each\n"+
		"p.yml:5:12: parameters has a meaning of its own in expressions: take another name for the variable of each\n"+
		"p.yml:7:12: eq is a function: take another name for the variable of each\n"+
		"p.yml:9:12: in is a function: take another name for the variable of each\n")
	check(t, "E03-parameters/type-root-case, type-root-legacyobject, legacyobject-deep", `
-- p.yml --
parameters:
- {name: a, type: String, default: s}
- {name: b, type: legacyObject, default: {}}
- {name: c, type: Strin, default: s}
steps:
- template: t.yml
  parameters: {o: {a: b}}
-- t.yml --
parameters: [{name: o, type: legacyObject}]
steps:
- script: ${{ parameters.o.a }}
`, "p.yml:2:19: unknown parameter type \"String\": write string, capitals count\n"+
		"p.yml:3:3: legacyObject is a type of templates' parameters: write object\n"+
		"p.yml:4:19: unknown parameter type \"Strin\", did you mean \"string\"?\n")
}
