package api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"slipway/internal/api"
	"slipway/internal/identity"
)

func TestSecureFiles(t *testing.T) {
	t.Parallel()
	w, s, token := pipelineWorld(t)
	const path = "/Shop/_apis/distributedtask/securefiles"
	var file api.SecureFile
	w.call(token, http.MethodPost, path+"?name=a+(1)%25.p12&api-version=7.1-preview.1", "the key", http.StatusOK, &file)
	if file.Name != "a (1)%.p12" || file.ID == "" || file.CreatedBy == nil || file.CreatedBy.DisplayName != "ada" || file.CreatedOn == nil || file.Size != 7 || file.Properties == nil {
		t.Errorf("file %+v", file)
	}
	w.call(token, http.MethodPost, path+"?name=b.jks", "b", http.StatusOK, nil)
	w.call(token, http.MethodPost, path+"?name=B.jks", "b", http.StatusConflict, nil)
	w.call(token, http.MethodPost, path, "b", http.StatusBadRequest, nil)
	contributor := w.member("carl", identity.RoleContributor)
	w.call(contributor, http.MethodPost, path+"?name=c", "c", http.StatusForbidden, nil)
	w.call(contributor, http.MethodDelete, path+"/"+file.ID, "", http.StatusForbidden, nil)
	f := func(query string, want int) {
		t.Helper()
		var answer struct {
			Count int
			Value []api.SecureFile
		}
		w.call(contributor, http.MethodGet, path+query, "", http.StatusOK, &answer)
		if answer.Count != want || len(answer.Value) != want {
			t.Errorf("%s: %+v", query, answer)
		}
	}
	f("", 2)
	f("?namePattern=*.JKS", 1)
	f("?namePattern=jks", 0)
	f("?secureFileIds="+strings.ToUpper(file.ID), 1)
	var again api.SecureFile
	w.call(contributor, http.MethodGet, path+"/"+file.ID, "", http.StatusOK, &again)
	if again.Name != file.Name {
		t.Errorf("got %+v", again)
	}
	// Nobody but a job gets the content.
	w.call(token, http.MethodGet, path+"/"+file.ID+"?download=true", "", http.StatusForbidden, nil)
	w.call(token, http.MethodDelete, path+"/a%20%281%29%25.p12", "", http.StatusNoContent, nil)
	w.call(token, http.MethodGet, path+"/"+file.ID, "", http.StatusNotFound, nil)
	if list, err := s.SecureFiles(context.Background(), w.project.ID); err != nil || len(list) != 1 {
		t.Errorf("left %+v, %v", list, err)
	}
}
