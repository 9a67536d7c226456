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
  if (isAtEnd(element)) requestAnimationFrame(() => { element.scrollTop = element.scrollHeight; });
}

function isAtEnd(element) { return element.scrollHeight - element.scrollTop - element.clientHeight < 80; }

document.addEventListener('DOMContentLoaded', () => sortable(document));
document.addEventListener('htmx:load', (event) => sortable(event.target));
// A list is not replaced under the hand that drags in it: the drop itself brings the next state.
document.addEventListener('htmx:sseBeforeMessage', (event) => { if (document.body.dataset.dragging) event.preventDefault(); });
document.addEventListener('htmx:sseBeforeMessage', () => document.querySelectorAll('[data-follow]').forEach(follow));

// One that is replaced together with what is around it stays where it is, or at its end.
let followed = null;
document.addEventListener('htmx:beforeSwap', (event) => {
  const log = event.detail.target.querySelector('[data-follow]');
  followed = log && { top: log.scrollTop, end: isAtEnd(log) };
});
document.addEventListener('htmx:afterSwap', () => {
  const log = followed && document.querySelector('pre.log');
  if (log) log.scrollTop = followed.end ? log.scrollHeight : followed.top;
  followed = null;
});

// What somebody has opened stays open when the part of the page around it comes anew.
let opened = [];
function noteOpened() { opened = [...document.querySelectorAll('details[id][open]')].map((details) => details.id); }
function openAgain() { for (const id of opened) document.getElementById(id)?.setAttribute('open', ''); }
for (const event of ['htmx:sseBeforeMessage', 'htmx:beforeSwap']) document.addEventListener(event, noteOpened);
for (const event of ['htmx:sseMessage', 'htmx:afterSwap']) document.addEventListener(event, openAgain);

// A click on a .copy block copies it.
document.addEventListener('click', (event) => {
  const block = event.target.closest('.copy');
  if (block && navigator.clipboard) navigator.clipboard.writeText(block.textContent.trim()).then(() => block.classList.add('copied'), () => {});
});

// A form with data-submit is sent when something else is chosen in it.
document.addEventListener('change', (event) => {
  const form = event.target.closest('form[data-submit]');
  if (form && event.target.matches('select, input[list]')) form.requestSubmit();
});

// Keys: an element with data-key="t" is followed, or gets the focus, when nobody types into something.
document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.key === '"' || event.target.closest('input, textarea, select, [contenteditable]')) return;
  const wanted = `[data-key="${CSS.escape(event.key)}"]`;
  const element = document.querySelector(`main ${wanted}`) || document.querySelector(wanted);
  if (!element) return;
  event.preventDefault();
  if (element.matches('input')) element.focus();
  else element.click();
});

// A list of links below an input: the arrow keys walk through it, Enter follows the first.
document.addEventListener('keydown', (event) => {
  const input = document.querySelector('input[data-list]');
  if (!input) return;
  const links = [...document.querySelectorAll(`${input.dataset.list} a`)];
  const at = links.indexOf(document.activeElement);
  if (event.key === 'Enter' && document.activeElement === input && links.length) {
    event.preventDefault();
    links[0].click();
  } else if (event.key === 'ArrowDown' && at + 1 < links.length && (at >= 0 || document.activeElement === input)) {
    event.preventDefault();
    links[at + 1].focus();
  } else if (event.key === 'ArrowUp' && at >= 0) {
    event.preventDefault();
    (at === 0 ? input : links[at - 1]).focus();
  }
});

// Lines of files: a click on a number names the line in the address, with shift a range; `#L3-L9` marks the lines and keeps them in view.
function chosenLines() {
  const range = /^#L(\d+)(?:-L?(\d+))?$/.exec(location.hash);
  return range && { from: Math.min(+range[1], +(range[2] || range[1])), to: Math.max(+range[1], +(range[2] || range[1])) };
}
function markLines(scroll) {
  const lines = chosenLines();
  const table = document.querySelector('table[data-lines]');
  if (!table || !lines) return;
  for (const row of table.querySelectorAll('tr.chosen')) row.classList.remove('chosen');
  for (let n = lines.from; n <= lines.to; n += 1) document.getElementById(`L${n}`)?.classList.add('chosen');
  for (const link of document.querySelectorAll('a[data-lines]')) link.hash = location.hash;
  if (!scroll) return;
  const first = document.getElementById(`L${lines.from}`);
  const piece = !first && [...table.querySelectorAll('tbody.piece')].find((p) => +p.dataset.from <= lines.from && lines.from <= +p.dataset.to);
  if (piece) htmx.ajax('GET', piece.getAttribute('hx-get'), { target: piece, swap: 'outerHTML' }).then(() => markLines(scroll && document.getElementById(`L${lines.from}`) !== null));
  else first?.scrollIntoView({ block: 'center' });
}

// Lines that come when the reader gets there: room is kept for them, so that the others stay where they are.
function keepLines() {
  const row = document.querySelector('table[data-lines] tr[id^="L"]');
  if (!row) return;
  const height = row.getBoundingClientRect().height;
  for (const piece of document.querySelectorAll('tbody.piece')) piece.rows[0].style.height = `${(piece.dataset.to - piece.dataset.from + 1) * height}px`;
  if (location.hash || row.id === 'L1') return;
  // The address names a piece in the middle of the file, or a line of it.
  (document.querySelector('table[data-lines] tr.chosen') || row).scrollIntoView({ block: 'center' });
}
document.addEventListener('DOMContentLoaded', keepLines);
document.addEventListener('htmx:load', (event) => { if (event.target.matches('table[data-lines] > tbody')) markLines(false); });
document.addEventListener('click', (event) => {
  const number = event.target.closest('table[data-lines] td.line a');
  if (!number) return;
  event.preventDefault();
  const line = Number(number.hash.slice(2));
  const before = event.shiftKey && chosenLines();
  const hash = before ? `#L${Math.min(before.from, line)}-L${Math.max(before.from, line)}` : `#L${line}`;
  history.replaceState(null, '', hash);
  markLines(false);
});
document.addEventListener('DOMContentLoaded', () => markLines(true));
window.addEventListener('hashchange', () => markLines(true));

// Menus close by Escape, which gives the focus back, and by a click elsewhere.
function closeMenus(except) {
  for (const menu of document.querySelectorAll('details.menu[open]')) {
    if (except && menu.contains(except)) continue;
    const inside = menu.contains(document.activeElement);
    menu.open = false;
    if (inside) menu.querySelector('summary').focus();
  }
}
document.addEventListener('keydown', (event) => { if (event.key === 'Escape') closeMenus(null); });
document.addEventListener('click', (event) => closeMenus(event.target));

// A live part that is replaced keeps what the reader has opened, scrolled and focused in it; one in which somebody types waits.
const place = (element, root) => {
  const way = [];
  for (let one = element; one !== root; one = one.parentElement) way.unshift([...one.parentElement.children].indexOf(one));
  return way;
};
const found = (way, root) => way.reduce((one, n) => one && one.children[n], root);
let before = null;
document.addEventListener('htmx:sseBeforeMessage', (event) => {
  const root = event.target;
  const active = document.activeElement;
  if (active && root.contains(active) && active.matches('input:not([type=checkbox], [type=radio]), textarea, select') && !active.closest('[hx-preserve]')) {
    event.preventDefault();
    return;
  }
  before = {
    root,
    open: [...root.querySelectorAll('details[open] > summary')].map((one) => [place(one, root), one.textContent]),
    scrolled: [...root.querySelectorAll('*')].filter((one) => one.scrollTop || one.scrollLeft).map((one) => [place(one, root), one.scrollTop, one.scrollLeft]),
    focus: active && active !== root && root.contains(active) ? [place(active, root), active.textContent] : null,
  };
});
document.addEventListener('htmx:sseMessage', (event) => {
  if (!before || before.root !== event.target) return;
  const { root, open, scrolled, focus } = before;
  before = null;
  for (const [way, text] of open) {
    const summary = found(way, root);
    if (summary && summary.matches('summary') && summary.textContent === text) summary.parentElement.open = true;
  }
  for (const [way, top, left] of scrolled) found(way, root)?.scrollTo(left, top);
  const focused = focus && found(focus[0], root);
  if (focused && focused.textContent === focus[1]) focused.focus({ preventScroll: true });
});
