package api

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
)

func (b buildRoutes) addWebhookRoutes() {
	b.project("GET", "/slipway/webhooks", identity.Read, b.listWebhooks)
	b.project("POST", "/slipway/webhooks", identity.Administer, b.createWebhook)
	b.project("DELETE", "/slipway/webhooks/{webhook}", identity.Administer, b.deleteWebhook)
	// Who calls says so by the signature of the body: these need nobody to be signed in. Azure DevOps has an organization before.
	for _, path := range []string{"/_apis/public/distributedtask/webhooks/{webhook}", "/{organization}/_apis/public/distributedtask/webhooks/{webhook}"} {
		b.route("POST", path, httpx.JSON(b.logger, b.callWebhook))
	}
}

// Webhook is an incoming webhook.
type Webhook struct {
	ID        int64      `json:"id"`
	Name      string     `json:"name"`             // what `connection` in a file says
	Address   string     `json:"address"`          // the name in the URL
	Header    string     `json:"header,omitempty"` // of the signature
	Secret    string     `json:"secret,omitempty"` // given when it is made, never shown
	Secured   bool       `json:"secured"`          // it has a secret
	URL       string     `json:"url,omitempty"`    // that others call
	CreatedOn *time.Time `json:"createdOn,omitempty"`
	LastCall  *time.Time `json:"lastCall,omitempty"`
}

func (b buildRoutes) webhook(w pipelines.Webhook) Webhook {
	return Webhook{ID: w.ID, Name: w.Name, Address: w.Address, Header: w.Header, Secured: w.Secured, URL: b.url + "/_apis/public/distributedtask/webhooks/" + w.Address,
		CreatedOn: when(w.Created), LastCall: when(w.Called)}
}

func (b buildRoutes) listWebhooks(w http.ResponseWriter, r request) error {
	found, err := b.pipelines.Webhooks(r.Context(), r.project.ID)
	if err != nil {
		return err
	}
	var out []Webhook
	for _, one := range found {
		out = append(out, b.webhook(one))
	}
	return list(w, out)
}

func (b buildRoutes) createWebhook(w http.ResponseWriter, r request) error {
	var body Webhook
	if err := httpx.ReadJSON(w, r.Request, 64<<10, &body); err != nil {
		return err
	}
	made, err := b.pipelines.CreateWebhook(r.Context(), pipelines.Webhook{Project: r.project.ID, Name: body.Name, Address: body.Address, Header: body.Header,
		CreatedBy: r.caller.Actor}, body.Secret)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, b.webhook(made))
	return nil
}

func (b buildRoutes) deleteWebhook(w http.ResponseWriter, r request) error {
	id, err := r.number("webhook")
	if err != nil {
		return err
	}
	if err := b.pipelines.DeleteWebhook(r.Context(), r.project.ID, id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// callWebhook takes a call of an incoming webhook. The answer says that it was kept, not what it starts.
func (b buildRoutes) callWebhook(w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, pipelines.MaxWebhookBody))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return slipway.Limit("the body has more than %d bytes", pipelines.MaxWebhookBody)
		}
		return slipway.Invalid("the body did not arrive whole").Because(err)
	}
	if err := b.pipelines.CallWebhook(r.Context(), chi.URLParam(r, "webhook"), r.Header.Get, body); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}
