package task

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// deploy is a manifest with what those of Microsoft's public tasks have.
const deploy = "\ufeff" + `{
  "id": "{7F1C1B4E-5A51-4D7B-9C52-0E7A7F6D2C11}", "name": "Deploy", "friendlyName": "Deploy it", "description": "Deploys.\nMore.",
  "version": {"Major": "2", "Minor": 10, "Patch": 3}, "minimumAgentVersion": "99.0.0", "instanceNameFormat": "Deploy $(app) to $(where) $(Build.BuildId)",
  "groups": [{"name": "advanced", "displayName": "Advanced", "visibleRule": "more = true"}],
  "inputs": [
    {"name": "app", "type": "string", "label": "App", "required": true, "aliases": ["application", "name"]},
    {"name": "where", "type": "pickList", "required": true, "defaultValue": "test", "options": {"test": "Test", "prod": "Production"}},
    {"name": "slot", "type": "pickList", "options": {"a": "A"}, "properties": {"EditableOptions": "True"}},
    {"name": "approver", "type": "string", "required": "true", "visibleRule": "where = prod && app != web"},
    {"name": "token", "type": "string", "required": true, "visibleRule": "where == prod || slot == b"},
    {"name": "more", "type": "boolean", "defaultValue": false},
    {"name": "reason", "type": "multiLine", "required": true, "groupName": "advanced"},
    {"name": "times", "type": "int", "defaultValue": 3},
    {"name": "cluster", "type": "connectedService:Kubernetes:Token", "properties": {"MultiSelectFlatList": "true"}},
    {"name": "any", "type": "connectedService"},
    {"name": "key", "type": "secureFile"}
  ],
  "outputVariables": [{"name": "url"}],
  "execution": {"PowerShell3": {"target": "a.ps1"}, "Node10": {"target": "old.js"}, "node20_1": {"target": "$(currentDirectory)\\lib\\new.js"}},
  "postjobexecution": {"Node": {"target": "post.js"}}
}`

func definition(t *testing.T, text string) *Definition {
	t.Helper()
	m, err := ReadManifest([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return m.Definition("fabrikam.tools.deploy", "sha256:1")
}

func TestUploadedInputs(t *testing.T) {
	t.Parallel()
	d := definition(t, deploy)
	f := func(given map[string]string, want ...string) {
		t.Helper()
		_, mistakes := d.Resolve(given)
		var got []string
		for _, m := range mistakes {
			got = append(got, m.Message)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v (-want +got)\n%s", given, diff)
		}
	}
	f(map[string]string{"application": "web"})
	f(nil, `task Deploy@2 needs the input "app" (application, name)`)
	f(map[string]string{"app": "web", "name": "web"}, `inputs "app" and "name" of task Deploy@2 are the same: give one`)
	f(map[string]string{"app": "web", "where": "moon"}, `input "where" of task Deploy@2 may be prod, test, not "moon"`)
	f(map[string]string{"app": "web", "where": "$(stage)"}) // what a rule asks is not known
	f(map[string]string{"app": "web", "where": "prod"}, `task Deploy@2 needs the input "token"`)
	f(map[string]string{"app": "api", "where": "Prod", "token": "t"}, `task Deploy@2 needs the input "approver"`)
	f(map[string]string{"app": "web", "slot": "b"}, `task Deploy@2 needs the input "token"`)
	f(map[string]string{"app": "web", "more": "yes"}, `input "more" of task Deploy@2 is "yes", which counts as false: write true or false`)
	f(map[string]string{"app": "web", "more": "true"}, `task Deploy@2 needs the input "reason"`)
	f(map[string]string{"app": "web", "times": "many"}, `input "times" of task Deploy@2 is a whole number, not "many"`)
	f(map[string]string{"app": "web", "wher": "prod"}, `task Deploy@2 has no input "wher", so it has no effect, did you mean "where"?`)

	inputs, _ := d.Resolve(map[string]string{"NAME": "web", "cluster": "a, b"})
	if diff := cmp.Diff(map[string]string{"app": "web", "where": "test", "more": "false", "times": "3", "cluster": "a, b"}, inputs); diff != "" {
		t.Errorf("inputs (-want +got)\n%s", diff)
	}
	if got := d.DisplayName(inputs); got != "Deploy web to test $(Build.BuildId)" {
		t.Errorf("display name %q", got)
	}
	if got := d.Input("cluster"); !got.Several || !cmp.Equal(got.Connection, []string{"kubernetes"}) {
		t.Errorf("cluster %+v", got)
	}
	if got := d.Input("any"); got.Connection == nil || len(got.Connection) > 0 {
		t.Errorf("any %+v", got)
	}
	if !d.Input("key").SecureFile || d.Input("app").Connection != nil {
		t.Error("the kinds of inputs are mixed up")
	}
	if d.Package.Version != "2.10.3" || d.Package.ID != "7f1c1b4e-5a51-4d7b-9c52-0e7a7f6d2c11" || d.Doc != "Deploys." || d.Package.PreJob || !d.Package.PostJob {
		t.Errorf("definition %+v %+v", d, d.Package)
	}
}

func TestHandlers(t *testing.T) {
	t.Parallel()
	m, err := ReadManifest([]byte(deploy))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		node, major int
		target      string
	}{{0, 20, "lib/new.js"}, {24, 20, "lib/new.js"}, {20, 20, "lib/new.js"}, {18, 10, "old.js"}, {8, 10, "old.js"}} {
		if h, major, ok := NodeHandler(m.Execution, c.node); !ok || major != c.major || h.LocalTarget() != c.target {
			t.Errorf("Node.js %d: handler %q, %d, %v", c.node, h.LocalTarget(), major, ok)
		}
	}
	windows := strings.NewReplacer("Node10", "PowerShell", "node20_1", "Process").Replace(deploy)
	if got := definition(t, windows).Refused(); got != "task Deploy@2 (2.10.3) cannot run here: its execution has only handlers for PowerShell, PowerShell3, Process, and jobs here run those of Node.js: "+
		"write what it does as a script or bash step" {
		t.Errorf("refused: %q", got)
	}
	if got := definition(t, deploy).Refused(); got != "" {
		t.Errorf("refused: %q", got)
	}
}

func TestManifestMistakes(t *testing.T) {
	t.Parallel()
	f := func(old, text, want string) {
		t.Helper()
		changed := strings.Replace(deploy, old, text, 1)
		if changed == deploy {
			t.Fatalf("%q is not in the manifest", old)
		}
		if _, err := ReadManifest([]byte(changed)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	f("7F1C1B4E-", "7F1C1B4E", `id is a GUID`)
	f(`"Deploy"`, `"De ploy"`, `name has letters, digits`)
	f(`"execution": {`, `"execution": [`, "is not understood")
	f(`"Minor": 10`, `"Minor": "ten"`, `a part of a version is a whole number, not "ten"`)
	f(`"name": "slot"`, `"name": "WHERE"`, `input "WHERE" is there twice`)
	f(`where == prod || slot == b`, `where == prod || slot == b && more = true`, "joins by && or by ||, not by both")
	f(`"where == prod || slot == b"`, `"prod"`, `"prod" is not understood`)
}

// The operators are those that the visual designer of Azure Pipelines documents for visibleRule.
func TestVisibleRules(t *testing.T) {
	t.Parallel()
	f := func(text, value string, want bool) {
		t.Helper()
		r, err := parseRule(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, known := r.holds(func(string) string { return value }); got != want || !known {
			t.Errorf("%s with %q: %v, %v", text, value, got, known)
		}
	}
	f("", "x", true)
	f("a = b c", "B C", true)
	f("a=b", "b", true)
	f("a == b", "c", false)
	f("a != b", "c", true)
	f("a Contains b", "abc", true)
	f("a NotContains b", "abc", false)
	f("a StartsWith b", "bc", true)
	f("a NotStartsWith b", "bc", false)
	f("a endswith c", "bc", true)
	f("a NotEndsWith c", "bc", false)
	f("a = b || a = c", "c", true)
	f("a != b && a != c", "c", false)
	r, err := parseRule("a = 1 && b = 2")
	if err != nil {
		t.Fatal(err)
	}
	if _, known := r.holds(func(name string) string { return map[string]string{"a": "1", "b": "$(x)"}[name] }); known {
		t.Error("a macro decides")
	}
	if holds, known := r.holds(func(name string) string { return map[string]string{"a": "0", "b": "$(x)"}[name] }); holds || !known {
		t.Error("what is known does not decide")
	}
}

func TestCatalog(t *testing.T) {
	t.Parallel()
	other := strings.NewReplacer("7F1C1B4E", "8F1C1B4E").Replace(deploy)
	newer := strings.NewReplacer(`"Minor": 10`, `"Minor": 9`).Replace(deploy)
	docker := strings.NewReplacer(`"name": "Deploy"`, `"name": "Docker"`, "7F1C1B4E", "9F1C1B4E").Replace(deploy)
	of := func(text, extension string) *Definition {
		d := definition(t, text)
		d.Extension = extension
		return d
	}
	mine, theirs, old, ours := of(deploy, "fabrikam.tools.deploy"), of(other, "contoso.x.deploy"), of(newer, "fabrikam.tools.deploy"), of(docker, "")
	one := Newest([]*Definition{old, mine, ours})
	if diff := cmp.Diff([]string{"Deploy@2 2.10.3", "Docker@2 2.10.3"}, []string{one[0].String() + " " + one[0].Package.Version, one[1].String() + " " + one[1].Package.Version}); len(one) != 2 || diff != "" {
		t.Errorf("newest: %d, %s", len(one), diff)
	}
	f := func(c Catalog, reference string, want *Definition, problem string) {
		t.Helper()
		got, err := c.Find(reference)
		if got != want || err != nil && err.Error() != problem || err == nil && problem != "" {
			t.Errorf("%s: %v, %v", reference, got, err)
		}
	}
	f(one, "deploy@2", mine, "")
	f(one, "Fabrikam.tools.deploy.Deploy@2", mine, "")
	f(one, "7f1c1b4e-5a51-4d7b-9c52-0e7a7f6d2c11@2", mine, "")
	f(one, "Deploy@1", nil, "task Deploy@1 is not there: use Deploy@2")
	f(one, "Deplyo@2", nil, `unknown task Deplyo@2, did you mean "Deploy"?`)
	builtIn, err := Catalog(nil).Find("Docker@2")
	if err != nil {
		t.Fatal(err)
	}
	f(one, "Docker@2", builtIn, "")
	f(one, "9f1c1b4e-5a51-4d7b-9c52-0e7a7f6d2c11@2", ours, "")
	two := Newest([]*Definition{mine, theirs})
	f(two, "Deploy@2", nil, "there are several tasks Deploy@2: write fabrikam.tools.deploy.Deploy@2 or contoso.x.deploy.Deploy@2")
	f(two, "contoso.x.deploy.Deploy@2", theirs, "")
	if diff := cmp.Diff([]string{"contoso.x.deploy.Deploy@2", "8f1c1b4e-5a51-4d7b-9c52-0e7a7f6d2c11@2"}, two.References(theirs)); diff != "" {
		t.Errorf("references: %s", diff)
	}
}
