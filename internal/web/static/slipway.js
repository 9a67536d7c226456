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
