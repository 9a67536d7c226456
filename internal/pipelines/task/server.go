package task

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"slipway/internal/pipelines/expression"
)

// serverTasks run in agentless jobs, on the server itself.
func serverTasks() []Definition {
	return []Definition{
		manualValidation(1,
			Input{Name: "approvers", Doc: "Who may resume or reject: names or e-mail addresses, parted by commas or lines; without them whoever may queue runs."},
			Input{Name: "allowApproversToApproveTheirOwnRuns", Doc: "Whether somebody may decide about a run that they asked for.", Default: "true", Boolean: true}),
		manualValidation(0),
		{Name: "Delay", Major: 1, Title: "Delay", Server: true, Doc: "Waits for a number of minutes.", Inputs: []Input{
			{Name: "delayForMinutes", Doc: "The minutes, 0 to 86400.", Default: "0", Required: true},
		}},
		invokeRESTAPI(1),
		invokeRESTAPI(0),
	}
}

func invokeRESTAPI(major int) Definition {
	return Definition{Name: "InvokeRESTAPI", Major: major, Title: "InvokeRESTAPI", Server: true, Doc: "Calls a URL, and judges the answer or waits until it is told the end.", Inputs: []Input{
		{Name: "connectedServiceNameSelector", Aliases: []string{"connectionType"}, Doc: "What the connection is.", Default: "connectedServiceName",
			Options: []string{"connectedServiceName", "connectedServiceNameARM", "connectedServiceNameAzureDevOps"},
			Unsupported: map[string]string{"connectedServiceNameARM": "give a URL with serviceConnection, and its token in headers",
				"connectedServiceNameAzureDevOps": "give a URL with serviceConnection, and its token in headers"}},
		{Name: "connectedServiceName", Aliases: []string{"serviceConnection", "genericService"}, Doc: "The service connection, or the URL itself, that is called, before urlSuffix.", Connection: []string{"generic"},
			NeededFor: "connectedServiceNameSelector", NeededForValues: []string{"connectedServiceName"}},
		{Name: "connectedServiceNameARM", Aliases: []string{"azureServiceConnection", "azureSubscription"}, Doc: "A subscription of Azure.",
			Unsupported: map[string]string{"": "give a URL with serviceConnection, and its token in headers"}},
		{Name: "connectedServiceNameAzureDevOps", Aliases: []string{"azureDevOpsServiceConnection"}, Doc: "A connection to Azure DevOps.",
			Unsupported: map[string]string{"": "give a URL with serviceConnection, and its token in headers"}},
		{Name: "method", Doc: "The HTTP method.", Default: "POST", Options: []string{"OPTIONS", "GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "PATCH"}},
		{Name: "headers", Doc: "The headers, a JSON object.", Default: callHeaders},
		{Name: "body", Doc: "The body; not for GET and HEAD."},
		{Name: "urlSuffix", Doc: "What is put behind the URL: a path, a query."},
		{Name: "waitForCompletion", Doc: "true: the step ends when the called one sends TaskCompleted; false: with the answer.", Default: "false", Options: []string{"true", "false"}},
		{Name: "successCriteria", Doc: "An expression over the JSON answer, root, that must hold: eq(root['status'], 'ok')."},
	}}
}

func manualValidation(major int, more ...Input) Definition {
	return Definition{Name: "ManualValidation", Major: major, Title: "ManualValidation", Server: true, Doc: "Waits until somebody resumes or rejects the run.",
		Inputs: slices.Concat([]Input{
			// The manifest requires it; real files leave it out or empty, and run.
			{Name: "notifyUsers", Doc: "Whom it concerns: names or e-mail addresses, parted by commas or lines. They are shown; no mail is sent."},
			{Name: "instructions", Doc: "What the person who decides has to know, in Markdown."},
			{Name: "onTimeout", Doc: "What happens when nobody decides in time.", Default: "reject", Options: []string{"reject", "resume"}},
		}, more)}
}

// callHeaders tell the called one how to answer with an event: where, about what, and with which token.
const callHeaders = `{
"Content-Type":"application/json",
"PlanUrl": "$(System.CollectionUri)",
"ProjectId": "$(System.TeamProjectId)",
"HubName": "$(System.HostType)",
"PlanId": "$(System.PlanId)",
"JobId": "$(System.JobId)",
"TimelineId": "$(System.TimelineId)",
"TaskInstanceId": "$(System.TaskInstanceId)",
"AuthToken": "$(System.AccessToken)"
}`

// Limits of what agentless tasks are given.
const (
	MaxDelay        = 86_400 // minutes
	MaxInstructions = 4_000  // bytes
	maxPeople       = 100
	maxPerson       = 254 // bytes
	maxHeaders      = 100
	maxCallText     = 64 << 10 // bytes of headers or body
	maxURL          = 4 << 10  // bytes
)

// InputError is what is wrong with the value of an input, once macros are expanded.
type InputError struct {
	Input   string // the definition's own name
	Message string
	// Unsupported is a value that Slipway cannot do.
	Unsupported bool
}

// Error implements error.
func (e *InputError) Error() string { return e.Message }

func badInput(name, format string, args ...any) error {
	return &InputError{Input: name, Message: fmt.Sprintf("input %s: ", name) + fmt.Sprintf(format, args...)}
}

// CheckServer checks the inputs of a server's task as far as they are known: a value with a macro in it is not.
func (d *Definition) CheckServer(inputs map[string]string) error {
	var err error
	switch d.Name {
	case "Delay":
		_, err = Delay(inputs)
	case "ManualValidation":
		_, err = ValidationOf(inputs)
	case "InvokeRESTAPI":
		_, err = CallOf(inputs)
	}
	return err
}

// Delay is how many minutes the task Delay waits.
func Delay(inputs map[string]string) (minutes int, err error) {
	const name = "delayForMinutes"
	minutes, err = strconv.Atoi(strings.TrimSpace(inputs[name]))
	if err != nil || minutes < 0 || minutes > MaxDelay {
		return 0, badInput(name, "%q is no whole number of minutes from 0 to %d", inputs[name], MaxDelay)
	}
	return minutes, nil
}

// Validation is what the task ManualValidation asks.
type Validation struct {
	Instructions string   `json:"-"`
	Notify       []string `json:"notify,omitempty"`
	Approvers    []string `json:"approvers,omitempty"` // nobody: whoever may queue runs
	// NotOwn keeps people from deciding about runs that they asked for.
	NotOwn bool `json:"notOwn,omitempty"`
	// Resume says that it is resumed when nobody decides in time; else it is rejected.
	Resume bool `json:"resume,omitempty"`
}

// ValidationOf reads the inputs of the task ManualValidation.
func ValidationOf(inputs map[string]string) (v Validation, err error) {
	if v.Notify, err = people(inputs, "notifyUsers"); err != nil {
		return v, err
	}
	if v.Approvers, err = people(inputs, "approvers"); err != nil {
		return v, err
	}
	if v.Instructions = strings.TrimSpace(inputs["instructions"]); len(v.Instructions) > MaxInstructions {
		return v, badInput("instructions", "it has %d bytes, more than %d", len(v.Instructions), MaxInstructions)
	}
	v.NotOwn = strings.EqualFold(strings.TrimSpace(inputs["allowApproversToApproveTheirOwnRuns"]), "false")
	switch onTimeout := strings.ToLower(strings.TrimSpace(inputs["onTimeout"])); onTimeout {
	case "resume":
		v.Resume = true
	case "reject", "":
	default:
		return v, badInput("onTimeout", "%q is neither reject nor resume", onTimeout)
	}
	return v, nil
}

// people reads names and addresses, parted by commas, semicolons or lines.
func people(inputs map[string]string, input string) ([]string, error) {
	var list []string
	for _, name := range strings.FieldsFunc(inputs[input], func(r rune) bool { return strings.ContainsRune(",;\r\n", r) }) {
		name = strings.TrimSpace(name)
		switch {
		case name == "" || slices.Contains(list, name):
		case strings.ContainsAny(name, `\[]`):
			return nil, &InputError{Input: input, Unsupported: true, Message: fmt.Sprintf("input %s: groups like %q are not there yet: name people", input, name)}
		case len(name) > maxPerson || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' }):
			return nil, badInput(input, "%.50q is no name or e-mail address", name)
		default:
			list = append(list, name)
		}
	}
	if len(list) > maxPeople {
		return nil, badInput(input, "it has %d people, more than %d", len(list), maxPeople)
	}
	return list, nil
}

// Call is the request of the task InvokeRESTAPI.
type Call struct {
	URL string
	// Connection is the service connection whose URL is called; URL is then what is put behind that.
	Connection string
	Method     string
	Headers    map[string]string
	Body       string
	// Callback says that the step ends when the called one says so, not with the answer.
	Callback bool
	// Criteria must hold of the answer; nil asks for nothing.
	Criteria *expression.Expression
}

// CallOf reads the inputs of the task InvokeRESTAPI.
func CallOf(inputs map[string]string) (c Call, err error) {
	connection, suffix := strings.TrimSpace(inputs[callInput]), strings.TrimSpace(inputs["urlSuffix"])
	if strings.Contains(connection, "://") {
		if c.URL, err = callURL(connection, suffix); err != nil {
			return c, err
		}
	} else if c.Connection, c.URL = connection, suffix; connection == "" || len(suffix) > maxURL {
		return c, badInput(callInput, "name a service connection of type generic, or write a URL, as https://example.com/api")
	}
	c.Method = strings.ToUpper(strings.TrimSpace(inputs["method"]))
	if c.Headers, err = headers(inputs["headers"]); err != nil {
		return c, err
	}
	if c.Method != "GET" && c.Method != "HEAD" {
		c.Body = inputs["body"]
	}
	if len(c.Body) > maxCallText {
		return c, badInput("body", "it has %d bytes, more than %d", len(c.Body), maxCallText)
	}
	c.Callback = strings.EqualFold(strings.TrimSpace(inputs["waitForCompletion"]), "true")
	criteria := strings.TrimSpace(inputs["successCriteria"])
	if criteria == "" {
		return c, nil
	}
	if c.Callback {
		return c, badInput("successCriteria", "it is about the answer, and with waitForCompletion: true the answer does not count: leave one of them out")
	}
	if c.Criteria, err = expression.Parse(criteria, expression.Scope{Names: []string{"root"}}); err != nil {
		return c, badInput("successCriteria", "%v", err)
	}
	return c, nil
}

// callInput is the input that says what is called.
const callInput = "connectedServiceName"

// Connect makes the call one of the connection at that URL, with its credentials unless a header has some.
func (c *Call) Connect(base, user, password string) (err error) {
	if c.URL, err = callURL(base, c.URL); err != nil {
		return err
	}
	for name := range c.Headers {
		if strings.EqualFold(name, "Authorization") {
			return nil
		}
	}
	switch {
	case password == "":
	case user == "":
		c.Headers["Authorization"] = "Bearer " + password
	default:
		c.Headers["Authorization"] = "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	return nil
}

func callURL(connection, suffix string) (string, error) {
	u, err := url.Parse(connection)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || len(connection) > maxURL {
		return "", badInput(callInput, "%.100q is no URL of http or https without a user: credentials go into headers, or into a service connection", connection)
	}
	// What is put behind it must not change the host: http://a and .example.com.
	if suffix != "" && u.Path == "" && u.RawQuery == "" && !strings.ContainsAny(suffix[:1], "/?#") {
		return "", badInput("urlSuffix", "%.100q would go on with the host's name: begin it with / or ?", suffix)
	}
	if whole, err := url.Parse(connection + suffix); err != nil || whole.Host != u.Host || len(connection)+len(suffix) > maxURL {
		return "", badInput("urlSuffix", "%.100q makes no URL behind %.100q", suffix, connection)
	}
	return connection + suffix, nil
}

// headers reads a JSON object of texts.
func headers(text string) (map[string]string, error) {
	if len(text) > maxCallText {
		return nil, badInput("headers", "it has %d bytes, more than %d", len(text), maxCallText)
	}
	list := map[string]string{}
	if strings.TrimSpace(text) == "" {
		return list, nil
	}
	var values map[string]any
	if err := json.Unmarshal([]byte(text), &values); err != nil {
		return nil, badInput("headers", "it is no JSON object of names and texts: %v", err)
	}
	if len(values) > maxHeaders {
		return nil, badInput("headers", "it has %d headers, more than %d", len(values), maxHeaders)
	}
	for name, value := range values {
		switch lower := strings.ToLower(name); {
		case slices.Contains([]string{"host", "content-length", "transfer-encoding", "connection", "upgrade", "trailer"}, lower):
			return nil, badInput("headers", "header %s is the server's own affair: leave it out", name)
		case name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r) }):
			return nil, badInput("headers", "%q is no name of a header", name)
		}
		switch v := value.(type) {
		case string:
			list[name] = v
		case bool, float64:
			list[name] = fmt.Sprint(v)
		default:
			return nil, badInput("headers", "header %s is no text", name)
		}
		if strings.ContainsAny(list[name], "\r\n\x00") {
			return nil, badInput("headers", "header %s has more than one line", name)
		}
	}
	return list, nil
}
