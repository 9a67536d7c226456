package agent

import (
	"fmt"
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/pipelines/job"
)

// keyVault is the tasks AzureKeyVault@1 and @2. A vault is the project's variable group of its name: its variables become
// secret ones of the steps that follow.
func (t *task) keyVault(in inputs) error {
	name, filter := in.text("KeyVaultName"), in.text("SecretsFilter")
	var list []job.VaultSecret
	err := t.client.again(t.ctx, func() error {
		return t.client.call(t.ctx, "GET", "/vault?step="+strconv.Itoa(t.step.ID), nil, &list)
	})
	if slipway.CodeOf(err) == slipway.CodeUnsupported {
		return t.localVault(name, filter)
	}
	if err != nil {
		return fmt.Errorf("key vault %s: %w", name, err)
	}
	for _, secret := range list {
		for _, line := range t.setVariable(command{properties: map[string]string{"variable": secret.Name, "issecret": "true"}, text: secret.Value}) {
			t.log.Printf("%s", line)
		}
		t.log.Printf("%s is a secret variable now.", secret.Name)
	}
	t.log.Printf("%d secrets are taken from the variable group %s.", len(list), name)
	return nil
}

// localVault is for a run without a server, whose secrets are given with it.
func (t *task) localVault(name, filter string) error {
	var missing []string
	for _, secret := range job.SecretNames(filter) {
		if _, ok := t.vars.Get(secret); !ok {
			missing = append(missing, "--secret "+secret)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("the key vault %s lives at a server: give its secrets with %s", name, strings.Join(missing, " "))
	}
	t.warn("The key vault " + name + " lives at a server: the secrets that this run was given stand for it.")
	return nil
}
