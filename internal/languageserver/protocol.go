package languageserver

import "encoding/json"

// The structures of the Language Server Protocol 3.17 that are used, by the names of the specification.

type position struct {
	Line      int `json:"line"`
	Character int `json:"character"` // in UTF-16 code units
}

type textRange struct {
	Start position `json:"start"`
	End   position `json:"end"`
}

type location struct {
	URI   string    `json:"uri"`
	Range textRange `json:"range"`
}

type textDocumentItem struct {
	URI     string `json:"uri"`
	Version int    `json:"version"`
	Text    string `json:"text"`
}

type didOpenParams struct {
	TextDocument textDocumentItem `json:"textDocument"`
}

type didChangeParams struct {
	TextDocument   textDocumentItem `json:"textDocument"`
	ContentChanges []contentChange  `json:"contentChanges"`
}

// contentChange without a range is the whole text.
type contentChange struct {
	Range *textRange `json:"range"`
	Text  string     `json:"text"`
}

type documentParams struct {
	TextDocument textDocumentItem `json:"textDocument"`
}

type positionParams struct {
	TextDocument textDocumentItem `json:"textDocument"`
	Position     position         `json:"position"`
}

type initializeResult struct {
	Capabilities capabilities `json:"capabilities"`
	ServerInfo   serverInfo   `json:"serverInfo"`
}

type serverInfo struct {
	Name string `json:"name"`
}

type capabilities struct {
	TextDocumentSync   syncOptions        `json:"textDocumentSync"`
	CompletionProvider completionProvider `json:"completionProvider"`
	HoverProvider      bool               `json:"hoverProvider"`
	DefinitionProvider bool               `json:"definitionProvider"`
	SymbolProvider     bool               `json:"documentSymbolProvider"`
	ActionProvider     actionOptions      `json:"codeActionProvider"`
}

type actionOptions struct {
	Kinds []string `json:"codeActionKinds"`
}

type syncOptions struct {
	OpenClose bool `json:"openClose"`
	Change    int  `json:"change"` // 2 is incremental
	Save      bool `json:"save"`
}

type completionProvider struct {
	TriggerCharacters []string `json:"triggerCharacters"`
}

type diagnosticsParams struct {
	URI         string       `json:"uri"`
	Version     *int         `json:"version,omitempty"`
	Diagnostics []diagnostic `json:"diagnostics"`
}

type diagnostic struct {
	Range    textRange `json:"range"`
	Severity int       `json:"severity"` // 1 error, 2 warning
	Code     string    `json:"code,omitempty"`
	Source   string    `json:"source"`
	Message  string    `json:"message"`
}

type completionList struct {
	IsIncomplete bool             `json:"isIncomplete"`
	Items        []completionItem `json:"items"`
}

// The kinds of completion items and symbols that are used.
const (
	kindFunction = 3
	kindVariable = 6
	kindModule   = 9
	kindProperty = 10
	kindValue    = 12
	kindKeyword  = 14
	kindFile     = 17

	symbolModule   = 2
	symbolProperty = 7
	symbolFunction = 12
	symbolObject   = 19
)

type completionItem struct {
	Label         string         `json:"label"`
	Kind          int            `json:"kind"`
	Detail        string         `json:"detail,omitempty"`
	Documentation *markupContent `json:"documentation,omitempty"`
	SortText      string         `json:"sortText,omitempty"`
	FilterText    string         `json:"filterText,omitempty"`
	TextEdit      *textEdit      `json:"textEdit,omitempty"`
}

type textEdit struct {
	Range   textRange `json:"range"`
	NewText string    `json:"newText"`
}

type markupContent struct {
	Kind  string `json:"kind"`
	Value string `json:"value"`
}

type hover struct {
	Contents markupContent `json:"contents"`
	Range    textRange     `json:"range"`
}

type documentSymbol struct {
	Name           string           `json:"name"`
	Detail         string           `json:"detail,omitempty"`
	Kind           int              `json:"kind"`
	Range          textRange        `json:"range"`
	SelectionRange textRange        `json:"selectionRange"`
	Children       []documentSymbol `json:"children,omitempty"`
}

func markdown(text string) markupContent { return markupContent{Kind: "markdown", Value: text} }

// read decodes the parameters of a message.
func read[T any](params *json.RawMessage) (v T, err error) {
	if params == nil {
		return v, nil
	}
	err = json.Unmarshal(*params, &v)
	return v, err
}
