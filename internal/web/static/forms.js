// What somebody wrote into a form that the server refused is there again when they come back to its page, with the reason
// beside the field.
'use strict';

(() => {
  const key = 'slipway.form';
  const here = () => location.pathname + location.search;
  const kept = (field) => field.name && !['password', 'file', 'hidden', 'submit', 'button'].includes(field.type);
  const posts = (form) => form.getAttribute('method') === 'post';
  const goal = (form) => new URL(form.getAttribute('action') || '', location.href).href;
  const sameForms = (action) => [...document.forms].filter((form) => posts(form) && goal(form) === action);

  document.addEventListener('submit', (event) => {
    const form = event.target;
    if (!posts(form)) return;
    const fields = [...form.elements].filter(kept).map((field) => [field.name, field.value, field.checked, field.type]);
    try {
      sessionStorage.setItem(key, JSON.stringify({ page: here(), action: goal(form), place: sameForms(goal(form)).indexOf(form), fields }));
    } catch { // more than the browser keeps
      sessionStorage.removeItem(key);
    }
  });

  function fill(form, fields) {
    const left = [...form.elements].filter(kept);
    for (const [name, value, checked, type] of fields) {
      const choice = type === 'radio' || type === 'checkbox';
      const at = left.findIndex((field) => field.name === name && (!choice || field.value === value));
      if (at < 0) continue;
      const [field] = left.splice(at, 1);
      if (choice) field.checked = checked;
      else if (!field.readOnly) field.value = value;
    }
  }

  function explain(form, message, name) {
    const reason = document.createElement('p');
    reason.className = 'error refused';
    reason.id = 'refused';
    reason.setAttribute('role', 'alert');
    reason.textContent = message;
    const field = name && [...form.elements].find((one) => one.name === name && kept(one));
    if (field) {
      field.setAttribute('aria-invalid', 'true');
      field.setAttribute('aria-describedby', 'refused');
      (field.closest('label') || field).append(reason);
      field.focus();
    } else {
      form.prepend(reason);
    }
    form.scrollIntoView({ block: 'nearest' });
  }

  document.addEventListener('DOMContentLoaded', () => {
    const text = sessionStorage.getItem(key);
    if (!text) return;
    const form = JSON.parse(text);
    const refusal = document.querySelector('[data-refused]');
    if (refusal) { // the page that says why; the way back leads to the form
      sessionStorage.setItem(key, JSON.stringify({ ...form, message: refusal.dataset.refused, field: refusal.dataset.field }));
      return;
    }
    if (form.message && form.page !== here()) return;
    sessionStorage.removeItem(key);
    const target = form.message && sameForms(form.action)[form.place];
    if (!target) return;
    for (let box = target.closest('details'); box; box = box.parentElement.closest('details')) box.open = true;
    fill(target, form.fields);
    explain(target, form.message, form.field);
  });
})();
