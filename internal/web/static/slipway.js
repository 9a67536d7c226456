// Small behaviours that pages gain when JavaScript is there. Every page works without them.
'use strict';

// Drag and drop: a list with data-sortable="GROUP" and data-move="URL" posts {item, list, before} when an item lands.
function sortable(root) {
  for (const list of root.querySelectorAll('[data-sortable]')) {
    if (list.dataset.ready) continue;
    list.dataset.ready = '1';
    Sortable.create(list, {
      group: list.dataset.sortable,
      draggable: '[data-item]',
      animation: 120,
      onStart() { document.body.dataset.dragging = 'true'; },
      onEnd(event) {
        delete document.body.dataset.dragging;
        if (event.from === event.to && event.oldIndex === event.newIndex) return;
        const next = event.item.nextElementSibling;
        const form = new URLSearchParams({
          item: event.item.dataset.item,
          revision: event.item.dataset.revision || '',
          list: event.to.dataset.list || '',
          before: next && next.dataset.item ? next.dataset.item : '',
        });
        fetch(event.to.dataset.move, { method: 'POST', body: form, redirect: 'manual' }).then((answer) => {
          if (answer.type !== 'opaqueredirect' && !answer.ok) location.reload();
        }, () => location.reload());
      },
    });
  }
}

// Logs: an element with data-follow keeps its end in view while the reader is at the end.
function follow(element) {
  const atEnd = element.scrollHeight - element.scrollTop - element.clientHeight < 80;
  if (atEnd) requestAnimationFrame(() => { element.scrollTop = element.scrollHeight; });
}

// The editor: the place of a mistake puts the cursor there.
document.addEventListener('click', (event) => {
  const place = event.target.closest('[data-line]');
  const editor = document.querySelector('textarea.editor');
  if (!place || !editor) return;
  event.preventDefault();
  const lines = editor.value.split('\n');
  const line = Math.min(Number(place.dataset.line), lines.length) - 1;
  const start = lines.slice(0, line).reduce((length, text) => length + text.length + 1, 0);
  editor.focus();
  editor.setSelectionRange(start + Number(place.dataset.column) - 1, start + lines[line].length);
  editor.scrollTop = (editor.scrollHeight / lines.length) * Math.max(0, line - 4);
});

document.addEventListener('DOMContentLoaded', () => sortable(document));
document.addEventListener('htmx:load', (event) => sortable(event.target));
// A list is not replaced under the hand that drags in it: the drop itself brings the next state.
document.addEventListener('htmx:sseBeforeMessage', (event) => { if (document.body.dataset.dragging) event.preventDefault(); });
document.addEventListener('htmx:sseBeforeMessage', () => document.querySelectorAll('[data-follow]').forEach(follow));

// A click on a .copy block copies it.
document.addEventListener('click', (event) => {
  const block = event.target.closest('.copy');
  if (block && navigator.clipboard) navigator.clipboard.writeText(block.textContent.trim()).then(() => block.classList.add('copied'), () => {});
});
