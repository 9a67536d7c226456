package substitute

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The example with Data.DefaultConnection.ConnectionString is that of Azure's documentation of variable substitution; the
// kinds of values follow its source, which looks at the kind that was there.
func TestJSON(t *testing.T) {
	t.Parallel()
	variables := map[string]string{
		"Data.DefaultConnection.ConnectionString": `Server="db";Pwd=<&'`, "Data.Retries": "5", "Data.Ratio": " 2.50 ", "Data.Hex": "many", "Data.Enabled": "false", "Data.Loud": "yes",
		"Data.Hosts.1": "two", "Data.Limits": `{"cpu":2}`, "Data.Nothing": "[1,2]", "Data.Text": "null", "data.retries": "9", "Logging.LogLevel.Microsoft.Hosting": "Debug", "Data.Absent": "x", "Big": "1e400",
	}
	in := `// settings
{
  "Data": {
    "DefaultConnection": { "ConnectionString" : "Server=(localdb)\\SQLEXPRESS;Database=MyDB;Trusted_Connection=True" /* here */ },
    "Retries":3, "Ratio": 1.0e0, "Hex": 16, "Enabled": true, "Loud": true,
    "Hosts": ["one", "zwei", "three"],
    "Limits": {"cpu": 1, "memory": "1Gi"}, "Nothing": null, "Text": "// no comment \" here"
  },
  "Logging": {"LogLevel": {"Default": "Information", "Microsoft.Hosting": "Warning"}},
  "Big": 10000000000000000000000
}
`
	want := `// settings
{
  "Data": {
    "DefaultConnection": { "ConnectionString" : "Server=\"db\";Pwd=<&'" /* here */ },
    "Retries":5, "Ratio": 2.50, "Hex": "many", "Enabled": false, "Loud": "yes",
    "Hosts": ["one", "two", "three"],
    "Limits": {"cpu":2}, "Nothing": [1,2], "Text": "null"
  },
  "Logging": {"LogLevel": {"Default": "Information", "Microsoft.Hosting": "Debug"}},
  "Big": "1e400"
}
`
	got, names, err := JSON(in, variables)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	wantNames := []string{"Data.DefaultConnection.ConnectionString", "Data.Retries", "Data.Ratio", "Data.Hex", "Data.Enabled", "Data.Loud", "Data.Hosts.1", "Data.Limits", "Data.Nothing", "Data.Text",
		"Logging.LogLevel.Microsoft.Hosting", "Big"}
	if diff := cmp.Diff(wantNames, names); diff != "" {
		t.Error(diff)
	}
	for _, broken := range []string{"", "{", `{"a":1} x`, "{'a':1}", strings.Repeat("[", 600), "/* {}"} {
		if got, _, err := JSON(broken, variables); err == nil {
			t.Errorf("%q gives %q and no error", broken, got)
		}
	}
}

func TestXML(t *testing.T) {
	t.Parallel()
	variables := map[string]string{"Url": "https://example.com/?a=1&amp;b=\"2\"", "Main": "Server=db", "Greeting": "it's", "maxItems": "7", "Colour": "blue", "outside": "x"}
	in := `<?xml version="1.0" encoding="utf-8"?>
<!-- Url -->
<configuration>
  <configSections>
    <section name="shopSettings" type="x" />
    <section name="absent" type="x" />
  </configSections>
  <connectionStrings>
    <add name="Main" connectionString="Server=old" providerName="System.Data.SqlClient" />
    <add name="Other" connectionString='Server=other' />
  </connectionStrings>
  <appSettings>
    <add key="Url" value = 'http://localhost' />
    <add value="old" key="Greeting"></add>
    <add key="Unknown" value="stays" />
  </appSettings>
  <applicationSettings>
    <Shop.Properties.Settings>
      <setting name="Colour" serializeAs="String">
        <value>red</value>
      </setting>
    </Shop.Properties.Settings>
  </applicationSettings>
  <shopSettings maxItems="3"><limit maxItems="4"/></shopSettings>
  <outside key="Url" value="stays" maxItems="stays" />
</configuration>
`
	want := strings.NewReplacer(`"Server=old"`, `"Server=db"`, `'http://localhost'`, `"https://example.com/?a=1&amp;b='2'"`, `value="old"`, `value="it's"`, "<value>red<", "<value>blue<",
		`maxItems="3"`, `maxItems="7"`, `maxItems="4"`, `maxItems="7"`).Replace(in)
	got, names, err := XML(in, variables)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"Colour", "Url", "Greeting", "Main", "maxItems", "maxItems"}, names); diff != "" {
		t.Error(diff)
	}
	// The variable connectionString is that of all which have none of their own.
	got, _, err = XML(in, map[string]string{"connectionString": "all", "Main": "one"})
	if err != nil || got != strings.NewReplacer(`"Server=old"`, `"one"`, `'Server=other'`, `"all"`).Replace(in) {
		t.Errorf("%v\n%s", err, got)
	}
	for _, broken := range []string{"<a>", "<a></b>", strings.Repeat("<a>", 600)} {
		if got, _, err := XML(broken, variables); err == nil {
			t.Errorf("%q gives %q and no error", broken, got)
		}
	}
}

func FuzzJSON(f *testing.F) {
	f.Add(`{"a": {"b": [1, "x", null, true]}} // end`, "a.b.1", "value")
	f.Fuzz(func(t *testing.T, text, name, value string) {
		got, names, err := JSON(text, map[string]string{name: value})
		if err == nil && !json.Valid([]byte(withoutComments(got))) {
			t.Errorf("%q became %q", text, got)
		}
		if err == nil && len(names) == 0 && got != text {
			t.Errorf("%q changed to %q", text, got)
		}
	})
}

func FuzzXML(f *testing.F) {
	f.Add(`<c><appSettings><add key="a" value="b"/><a><value>t</value></a></appSettings><connectionStrings><x name="a" connectionString=''/></connectionStrings></c>`, "a", "v")
	f.Fuzz(func(t *testing.T, text, name, value string) {
		if !xmlText(value) {
			return
		}
		got, _, err := XML(text, map[string]string{name: value})
		if err != nil {
			return
		}
		d := xml.NewDecoder(strings.NewReader(got))
		d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
		for {
			if _, err := d.Token(); err == io.EOF {
				return
			} else if err != nil {
				t.Fatalf("%q became %q: %v", text, got, err)
			}
		}
	})
}

// xmlText reports whether an attribute and an element may hold the text.
func xmlText(text string) bool {
	d := xml.NewDecoder(strings.NewReader("<a b='" + strings.ReplaceAll(text, "'", "") + "'>" + text + "</a>"))
	for {
		if _, err := d.Token(); err != nil {
			return err == io.EOF
		}
	}
}
