package variable

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRule6Macros(t *testing.T) {
	t.Parallel()
	s := Of(map[string]string{"a": "A", "Build.BuildId": "7", "nested": "<$(a)/$(build.buildid)>", "loop": "x$(loop)", "empty": ""})
	f := func(in, want string) {
		t.Helper()
		if got := s.Expand(in); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
	f("$(a)-$(A)", "A-A")
	f("$(nested)", "<A/7>")
	f("$(unknown) $(a", "$(unknown) $(a") // rule 3: stays as written
	f("$(echo $(a))", "$(echo A)")
	f("$(date) $(empty)$(a)", "$(date) A")
	f("$$(a)", "$A")
	f("$()", "$()")
	if got := s.Expand("$(loop)"); !strings.HasSuffix(got, "$(loop)") || len(got) > 100 {
		t.Errorf("a loop gives %q", got)
	}
}

func TestMacrosGrowWithinBounds(t *testing.T) {
	t.Parallel()
	s := Of(map[string]string{"a0": strings.Repeat("x", 1000)})
	for i := range 15 {
		s.PutText("a"+string(rune('1'+i)), strings.Repeat("$(a"+string(rune('0'+i))+")", 10))
	}
	if got := s.Expand("$(a9)"); len(got) > 11*maxExpanded {
		t.Errorf("%d bytes", len(got))
	}
}

func TestMacros(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff([]string{"a", "b.c"}, Macros("x $(a) $(echo $(b.c)) $(d")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestRule22Environment(t *testing.T) {
	t.Parallel()
	var s Set
	s.PutText("Build.Source Branch", "x")
	s.Put("token", Value{Text: "line one\nline two", Secret: true})
	s.PutText("uses", "a$(token)")
	s.PutText("plain", "$(Build.Source Branch)y")
	if diff := cmp.Diff(map[string]string{"BUILD_SOURCE_BRANCH": "x", "PLAIN": "xy"}, s.Environment()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]string{"line one\nline two", "line one", "line two"}, s.Secrets()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestSetJSON(t *testing.T) {
	t.Parallel()
	var s, again Set
	s.Put("A", Value{Text: "1", Secret: true})
	s.PutText("b", "2")
	s.PutText("B", "3")
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"A":{"value":"1","secret":true},"B":{"value":"3"}}`; string(data) != want {
		t.Errorf("%s, want %s", data, want)
	}
	if err := json.Unmarshal(data, &again); err != nil || !s.Equal(again) {
		t.Errorf("%v %v", again, err)
	}
}

// The wanted values are those of the table in Microsoft's "Run (build) numbers" page, for 21:07:03 on 5 August 2019.
func TestRule37Number(t *testing.T) {
	t.Parallel()
	now := time.Date(2019, 8, 5, 21, 7, 3, 0, time.UTC)
	vars := Of(map[string]string{"Build.DefinitionName": "CIBuild", "Build.BuildId": "752", "System.TeamProject": "Fabrikam", "Build.SourceBranchName": "main"})
	f := func(format, want, before string) {
		t.Helper()
		asked := ""
		got, err := Number(format, vars, now, func(b, _ string) (int, error) { asked = b; return 2, nil })
		if err != nil || got != want || asked != before {
			t.Errorf("%s: %q after %q (%v), want %q after %q", format, got, asked, err, want, before)
		}
	}
	f("", "20190805.2", "20190805")
	f("$(Date:yyyyMMdd)$(Rev:.r)", "20190805.2", "20190805")
	f("$(Date:yyyyMMdd).$(Rev:rr)", "20190805.02", "20190805.")
	f("$(DayOfMonth) $(DayOfYear) $(Hours) $(Minutes) $(Month) $(Seconds)", "5 217 21 7 8 3", "")
	f("$(Year:yy) $(Year:yyyy)", "19 2019", "")
	f("$(Date:MMddyy)", "080519", "")
	f("$(Build.DefinitionName)_$(Build.BuildId)_$(system.teamproject)", "CIBuild_752_Fabrikam", "")
	f("$(TeamProject)_$(Build.DefinitionName)_$(SourceBranchName)_$(Date:yyyyMMdd).$(Rev:r)", "Fabrikam_CIBuild_main_20190805.2", "Fabrikam_CIBuild_main_20190805.")
	f("$(buildDefinitionName)_$(rev:rr)", "CIBuild_02", "CIBuild_")
	f("a/b:c.", "a_b_c_", "")
}

func TestBranchName(t *testing.T) {
	t.Parallel()
	if got := BranchName("refs/heads/feature/x"); got != "x" {
		t.Errorf("%q", got)
	}
}
