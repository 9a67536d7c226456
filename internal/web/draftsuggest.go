package web

import (
	"net/http"
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/languageserver"
)

// maxSuggested bounds the choices that are shown; typing on narrows them.
const maxSuggested = 200

// suggest answers with what may stand at the cursor of the editor, and what stands there.
func (p pipelinesPages) suggest(w http.ResponseWriter, r *http.Request, v View) error {
	r.Body = http.MaxBytesReader(w, r.Body, 4*maxEdited)
	line, err1 := strconv.Atoi(r.FormValue("line"))
	character, err2 := strconv.Atoi(r.FormValue("character"))
	if err1 != nil || err2 != nil {
		return slipway.Invalid("say where the cursor is: line and character, counted from 0")
	}
	text := strings.ReplaceAll(r.FormValue("content"), "\r\n", "\n")
	if len(text) > maxEdited {
		return slipway.Limit("the file has %d bytes, more than %d", len(text), maxEdited)
	}
	tasks, err := p.pipelines.Catalog(r.Context())
	if err != nil {
		return err
	}
	found := languageserver.Suggest(tasks, text, line, character)
	if len(found.Choices) > maxSuggested {
		found.Choices = found.Choices[:maxSuggested]
	}
	return p.Fragment(w, r, suggestionList(found, newMarkdown().render(found.About)))
}
