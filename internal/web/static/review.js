// The page of a pull request: small behaviours that it gains when JavaScript is there.
'use strict';

// The list of files is filtered while somebody types.
document.addEventListener('input', (event) => {
  const filter = event.target.closest('[data-filter]');
  if (!filter) return;
  const wanted = filter.value.toLowerCase();
  for (const row of document.querySelectorAll('[data-path]')) row.hidden = !row.dataset.path.toLowerCase().includes(wanted);
});

// A click on a line's number brings the form for a comment below the line; one with the shift key held, for all lines since the click before.
let first = null;
document.addEventListener('click', (event) => {
  const link = event.target.closest('a[data-ask]');
  if (!link || event.ctrlKey || event.metaKey || event.button !== 0) return;
  event.preventDefault();
  const row = link.closest('tr');
  const address = new URL(link.href);
  const q = address.searchParams;
  const line = Number(q.get('line'));
  if (event.shiftKey && first && first.path === q.get('path') && first.side === q.get('side') && first.line < line) {
    q.set('line', first.line);
    q.set('end', line);
  } else {
    first = { path: q.get('path'), side: q.get('side'), line };
  }
  history.replaceState(null, '', '#' + link.closest('td').id); // the address names the line
  document.getElementById('comment')?.closest('tr').remove();
  htmx.ajax('GET', address.pathname + address.search, { target: row, swap: 'afterend' })
    .then(() => document.querySelector('#comment textarea')?.focus());
});

// A picture that is pasted or dropped into a text is attached to the pull request.
function attach(area, files) {
  for (const file of files) {
    const name = file.name && file.name !== 'image.png' ? file.name : `picture-${Date.now()}.png`;
    const address = area.dataset.attach + '/' + encodeURIComponent(name);
    fetch(address, { method: 'POST', body: file, headers: { 'Content-Type': 'application/octet-stream' } })
      .then((answer) => answer.json().then((body) => {
        if (!answer.ok) throw new Error(body.message);
        const mark = file.type.startsWith('image/') ? '!' : '';
        area.setRangeText(`${mark}[${name}](${new URL(body.url, location).pathname})`, area.selectionStart, area.selectionEnd, 'end');
      }))
      .catch((error) => { area.setCustomValidity(error.message); area.reportValidity(); area.addEventListener('input', () => area.setCustomValidity(''), { once: true }); });
  }
}
for (const [kind, of] of [['paste', 'clipboardData'], ['drop', 'dataTransfer']]) {
  document.addEventListener(kind, (event) => {
    const area = event.target.closest && event.target.closest('textarea[data-attach]');
    if (!area || !event[of] || event[of].files.length === 0) return;
    event.preventDefault();
    attach(area, [...event[of].files]);
  });
}

// "Suggest" puts the lines into the text, to be changed.
document.addEventListener('click', (event) => {
  const button = event.target.closest('[data-suggest]');
  if (!button) return;
  const area = button.closest('form').querySelector('textarea');
  area.setRangeText('```suggestion\n' + button.dataset.suggest + '\n```\n', area.selectionStart, area.selectionEnd, 'end');
  area.focus();
});

// Room is kept for lines that come when the reader gets there, so that what is below stays where it is.
const lineHeight = 20; // about, in pixels
function keepRoom(root) {
  for (const later of root.querySelectorAll('[data-length]')) later.style.minHeight = `${Math.min(later.dataset.length, 600) * lineHeight}px`;
}
keepRoom(document);
document.addEventListener('htmx:load', (event) => keepRoom(event.target));

// A line that the address names, of a file whose lines are not here, or far from its changes, comes with more of its file.
async function fetchLine(file, line) {
  for (let tries = 0; tries < 2 && !document.getElementById(line); tries += 1) {
    const more = document.getElementById(file)?.querySelector('a[data-show]');
    if (!more) break;
    await htmx.ajax('GET', more.href.split('#')[0], { target: '#' + file, swap: 'outerHTML' });
  }
  return document.getElementById(line) || document.getElementById(file);
}

// The row of a line that the address names is marked.
function mark(row) {
  for (const other of document.querySelectorAll('.diff tr.chosen')) other.classList.remove('chosen');
  row?.classList.add('chosen');
}

// A click on a number that leads to its own line names it in the address, and moves nothing.
document.addEventListener('click', (event) => {
  const link = event.target.closest('.diff td.line > a[href^="#"]');
  if (!link || event.ctrlKey || event.metaKey || event.button !== 0) return;
  event.preventDefault();
  history.replaceState(null, '', link.getAttribute('href'));
  mark(link.closest('tr'));
});

// What the address names is open; but a file that was viewed stays folded when the page comes anew, as after the click that marks it.
async function openNamed(event) {
  const name = location.hash.slice(1);
  const [, file] = /^(file-[0-9a-f]+)-[LR]\d+$/.exec(name) || [];
  const named = document.getElementById(name) || file && await fetchLine(file, name);
  if (!named) return;
  const within = event.type === 'hashchange' || !named.matches('section.change') ? named.querySelector('details') : null;
  for (let box = named.closest('details') || within; box; box = box.parentElement.closest('details')) box.open = true;
  mark(file && named.closest('tr'));
  named.scrollIntoView({ block: file ? 'center' : 'start' });
}
window.addEventListener('hashchange', openNamed);
document.addEventListener('DOMContentLoaded', openNamed);
document.addEventListener('htmx:load', (event) => { if (event.target.matches('.changes-columns')) openNamed(event); }); // the files that a page brings later
