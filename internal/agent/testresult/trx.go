package testresult

import (
	"encoding/xml"
	"path"
	"strconv"
	"strings"

	"slipway/internal/pipelines/job"
)

// trxResult is a UnitTestResult, or another kind of it, which may have results inside: rows of data, tests of an ordered
// test. The schema is Visual Studio's vstst.xsd.
type trxResult struct {
	TestID   string `xml:"testId,attr"`
	RunID    string `xml:"executionId,attr"`
	Name     string `xml:"testName,attr"`
	Outcome  string `xml:"outcome,attr"`
	Duration string `xml:"duration,attr"`
	StdOut   string `xml:"Output>StdOut"`
	StdErr   string `xml:"Output>StdErr"`
	Message  string `xml:"Output>ErrorInfo>Message"`
	Trace    string `xml:"Output>ErrorInfo>StackTrace"`
	trxFiles
	Inner struct {
		Results []trxResult `xml:",any"`
	} `xml:"InnerResults"`
}

// trxFiles are what a result, or the summary of all of them, has attached.
type trxFiles struct {
	Files []struct {
		Path string `xml:"path,attr"`
	} `xml:"ResultFiles>ResultFile"`
	Collected []struct {
		Path string `xml:"href,attr"`
	} `xml:"CollectorDataEntries>Collector>UriAttachments>UriAttachment>A"`
}

// trxDefinition says which method a test is.
type trxDefinition struct {
	ID      string `xml:"id,attr"`
	Storage string `xml:"storage,attr"`
	Method  struct {
		Class string `xml:"className,attr"`
	} `xml:"TestMethod"`
}

// trx reads `TestRun` of VSTest and MSTest. What a test's class is stands after the results.
func (r *reader) trx(xml.StartElement) error {
	var results []trxResult
	var summary trxFiles
	classes := map[string]string{}
	root := ""
	err := r.children(func(e xml.StartElement) error {
		switch e.Name.Local {
		case "Results":
			return r.children(func(e xml.StartElement) error {
				var one trxResult
				err := r.d.DecodeElement(&one, &e)
				results = append(results, one)
				return err
			})
		case "TestSettings":
			return r.children(func(e xml.StartElement) error {
				if e.Name.Local == "Deployment" {
					root = attribute(e, "runDeploymentRoot")
				}
				return r.d.Skip()
			})
		case "ResultSummary":
			return r.d.DecodeElement(&summary, &e)
		case "TestDefinitions":
			return r.children(func(e xml.StartElement) error {
				var d trxDefinition
				err := r.d.DecodeElement(&d, &e)
				classes[d.ID], _, _ = strings.Cut(d.Method.Class, ",")
				if classes[d.ID] == "" {
					classes[d.ID] = path.Base(strings.ReplaceAll(d.Storage, `\`, "/"))
				}
				return err
			})
		}
		return r.d.Skip()
	})
	if err != nil {
		return err
	}
	for _, file := range summary.below(root) {
		r.attach(file)
	}
	return r.trxResults(results, classes, root)
}

// trxResults takes the innermost results, which say more than what holds them.
func (r *reader) trxResults(results []trxResult, classes map[string]string, root string) error {
	for _, one := range results {
		if len(one.Inner.Results) > 0 {
			if err := r.trxResults(one.Inner.Results, classes, root); err != nil {
				return err
			}
			continue
		}
		t := job.TestResult{Suite: classes[one.TestID], Name: one.Name, Duration: timeSpan(one.Duration), Message: one.Message, Detail: one.Trace}
		t.Name = strings.TrimPrefix(t.Name, t.Suite+".")
		switch strings.ToLower(one.Outcome) {
		case "passed", "completed", "warning", "passedbutrunaborted":
			t.Outcome = job.TestPassed
		case "", "failed", "error", "timeout", "aborted": // MSTest leaves out the first value of its list, which is Error
			t.Outcome = job.TestFailed
		default:
			t.Outcome = job.TestSkipped
		}
		if t.Detail == "" && t.Outcome == job.TestFailed {
			t.Detail = one.StdOut + one.StdErr
		}
		if t.Name == "" {
			continue
		}
		if one.RunID != "" {
			t.Files = one.below(root, one.RunID)
		}
		if err := r.add(t); err != nil {
			return err
		}
	}
	return nil
}

// below gives the paths of the files, which lie in the folder In of the deployment, those of a test in one of its own there (TrxResultReader.cs of
// azure-pipelines-agent).
func (f *trxFiles) below(root string, folder ...string) []string {
	var list []string
	add := func(name string) {
		if name != "" {
			parts := append([]string{strings.ReplaceAll(root, `\`, "/"), "In"}, folder...)
			list = append(list, path.Join(append(parts, strings.ReplaceAll(name, `\`, "/"))...))
		}
	}
	for _, file := range f.Files {
		add(file.Path)
	}
	for _, file := range f.Collected {
		add(file.Path)
	}
	return list
}

// timeSpan reads [DAYS.]HH:MM:SS[.FRACTION] of .NET, in microseconds; 0 for anything else.
func timeSpan(text string) int64 {
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return 0
	}
	days, hours, found := strings.Cut(parts[0], ".")
	if !found {
		days, hours = "0", parts[0]
	}
	total := int64(0)
	for _, part := range []struct {
		text    string
		seconds int64
	}{{days, 24 * 3600}, {hours, 3600}, {parts[1], 60}} {
		n, err := strconv.ParseUint(part.text, 10, 16)
		if err != nil {
			return 0
		}
		total += int64(n) * part.seconds
	}
	return total*1e6 + microseconds(parts[2])
}
