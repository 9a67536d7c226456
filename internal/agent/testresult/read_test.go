package testresult

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/unicode"

	"slipway/internal/pipelines/job"
)

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		format Format
		in     string
		want   string
	}{
		{"nothing", JUnit, "", "the file holds no test results: it has no XML"},
		{"another root", JUnit, "<html/>", `this is no file of JUnit, nor of another known test runner: its root is "html"`},
		{"another runner", JUnit, "<test-run/>", `this is a file of NUnit, not of JUnit: its root is "test-run"; set testResultsFormat to NUnit`},
		{"another runner", CTest, "<TestRun/>", `this is a file of VSTest, not of CTest: its root is "TestRun"; set testResultsFormat to VSTest`},
		{"no XML", XUnit, "1..4\nok 1\n", "the file holds no test results: it has no XML"},
		{"an unknown format", "TAP", "<x/>", `test results in the format "TAP" cannot be read: use JUnit, NUnit, VSTest, XUnit or CTest`},
		{"an unknown encoding", JUnit, `<?xml version="1.0" encoding="ebcdic"?><testsuite/>`,
			`read test results: xml: opening charset "ebcdic": the encoding "ebcdic" is not known: write the file in UTF-8`},
		{"cut off", JUnit, "<testsuite><testcase name='a'>", "read test results: XML syntax error on line 1: unexpected EOF"},
		{"no end", NUnit, "<test-run><test-suite>", "read test results: XML syntax error on line 1: unexpected EOF"},
		{"too deep", JUnit, strings.Repeat("<testsuite>", 200), "read test results: elements are nested deeper than 100"},
		{"a build of CTest", CTest, "<Site><Build/></Site>", "read test results: the file of CTest holds no tests: publish Test.xml, which ctest -T Test writes"},
		{"too many", JUnit, "<testsuite>" + strings.Repeat("<testcase/>", job.MaxTestResults+1) + "</testsuite>", "read test results: more than 50000 tests in one file"},
	} {
		run, err := Read(c.format, strings.NewReader(c.in))
		if err == nil {
			t.Errorf("%s: %v and no error", c.name, run)
		} else if err.Error() != c.want {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
}

// The name of a format ignores case, and a file may have any of the usual encodings.
func TestReadEncodings(t *testing.T) {
	t.Parallel()
	const body = `<testsuite name="s"><testcase name="Müller"/></testsuite>`
	wide, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(`<?xml version="1.0" encoding="utf-16"?>` + body)
	if err != nil {
		t.Fatal(err)
	}
	for name, in := range map[string]string{
		"UTF-8": body, "UTF-8 with a mark": "\uFEFF" + `<?xml version="1.0" encoding="utf-8"?>` + body, "UTF-16": wide,
		"ISO 8859-1":   `<?xml version="1.0" encoding="ISO-8859-1"?>` + strings.ReplaceAll(body, "ü", "\xfc"),
		"Windows 1252": `<?xml version="1.0" encoding="windows-1252"?>` + strings.ReplaceAll(body, "ü", "\xfc"),
	} {
		run, err := Read("junit", strings.NewReader(in))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff([]job.TestResult{{Suite: "s", Name: "Müller", Outcome: job.TestPassed}}, run.Results); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, in := range []string{
		"<testsuite><testcase name='a'><failure>x</failure></testcase></testsuite>",
		"<test-run><test-suite><test-case fullname='a.b' result='Failed'><failure><message>m</message></failure></test-case></test-suite></test-run>",
		"<TestRun><Results><UnitTestResult testName='a' duration='1.02:03:04.5'/></Results></TestRun>",
		"<assemblies><assembly><collection><test name='a' result='Skip'><reason>r</reason></test></collection></assembly></assemblies>",
		"<Site><Testing><Test Status='failed'><Name>a</Name></Test></Testing></Site>",
	} {
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		for _, s := range shapes {
			run, err := Read(s.format, strings.NewReader(in))
			if err == nil && len(run.Results) > job.MaxTestResults {
				t.Errorf("%d results", len(run.Results))
			}
		}
	})
}
