package web

import (
	"net/http"
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
)

type webhooksView struct {
	URL       string
	Rows      []webhookRow
	MayChange bool
}

type webhookRow struct {
	pipelines.Webhook
	Path      string
	Pipelines string
}

func (p pipelinesPages) addWebhookPages() {
	p.Project("GET", "/_settings/webhooks", identity.Read, p.webhooks)
	p.Project("POST", "/_settings/webhooks", identity.Administer, p.changeWebhooks)
}

func (p pipelinesPages) webhooks(w http.ResponseWriter, r *http.Request, v View) error {
	view := webhooksView{URL: v.URL("_settings", "webhooks"), MayChange: p.identity.Authorize(r.Context(), v.Caller, identity.Administer, v.Project.ID) == nil}
	list, err := p.pipelines.Webhooks(r.Context(), v.Project.ID)
	if err != nil {
		return err
	}
	for _, one := range list {
		names, err := p.pipelines.WebhookPipelines(r.Context(), one)
		if err != nil {
			return err
		}
		view.Rows = append(view.Rows, webhookRow{Webhook: one, Path: "/_apis/public/distributedtask/webhooks/" + one.Address, Pipelines: strings.Join(names, ", ")})
	}
	return p.Render(w, r, v.Titled("Incoming webhooks", "settings"), webhooksPage(view))
}

// changeWebhooks makes a webhook, or deletes one.
func (p pipelinesPages) changeWebhooks(w http.ResponseWriter, r *http.Request, v View) error {
	if text := r.PostFormValue("delete"); text != "" {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return slipway.Invalid("%q is no webhook's number", text)
		}
		if err := p.pipelines.DeleteWebhook(r.Context(), v.Project.ID, id); err != nil && slipway.CodeOf(err) != slipway.CodeNotFound { // somebody else was faster
			return err
		}
		return p.Redirect(w, r, v.URL("_settings", "webhooks"))
	}
	_, err := p.pipelines.CreateWebhook(r.Context(), pipelines.Webhook{Project: v.Project.ID, Name: strings.TrimSpace(r.PostFormValue("name")),
		Address: strings.TrimSpace(r.PostFormValue("address")), Header: strings.TrimSpace(r.PostFormValue("header")), CreatedBy: v.Caller.Actor}, r.PostFormValue("secret"))
	if err != nil {
		return err
	}
	return p.Redirect(w, r, v.URL("_settings", "webhooks"))
}
