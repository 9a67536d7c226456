// The editor of files: what may stand at the cursor of a pipeline file, and what stands there.
'use strict';

(() => {
  const editor = document.querySelector('textarea.editor');
  if (!editor) return;
  const form = editor.form;

  // Whoever leaves with changes that are not saved is asked first.
  let changed = false;
  editor.addEventListener('input', () => { changed = true; });
  form.addEventListener('submit', () => { changed = false; });
  window.addEventListener('beforeunload', (event) => { if (changed) event.preventDefault(); });

  if (!editor.dataset.suggest) return;
  const box = document.getElementById('suggestions');
  const about = document.getElementById('about');
  let chosen = -1;

  function cursor() {
    const before = editor.value.slice(0, editor.selectionStart);
    const start = before.lastIndexOf('\n') + 1;
    return { start, line: before.split('\n').length - 1, character: before.length - start };
  }

  function close() {
    box.hidden = true;
    chosen = -1;
    editor.removeAttribute('aria-activedescendant');
  }

  function choices() { return [...box.querySelectorAll('[role=option]')].filter((choice) => !choice.hidden); }

  function choose(n) {
    const list = choices();
    if (list.length === 0) return;
    chosen = (n + list.length) % list.length;
    list.forEach((choice, i) => choice.setAttribute('aria-selected', String(i === chosen)));
    list[chosen].scrollIntoView({ block: 'nearest' });
    editor.setAttribute('aria-activedescendant', list[chosen].id);
  }

  function take(choice) {
    const { start } = cursor();
    editor.focus();
    editor.setSelectionRange(start + Number(choice.dataset.start), start + Number(choice.dataset.end));
    document.execCommand('insertText', false, choice.dataset.insert); // as typed, so that it can be undone
    close();
  }

  // place puts the choices below the cursor: lines do not wrap, and all characters are equally wide.
  function place(at) {
    const style = getComputedStyle(editor);
    const pen = document.createElement('canvas').getContext('2d');
    pen.font = style.font;
    const text = editor.value.slice(at.start, at.start + at.character).replaceAll('\t', '    ');
    const left = parseFloat(style.paddingLeft) + pen.measureText(text).width - editor.scrollLeft;
    const top = parseFloat(style.paddingTop) + (at.line + 1) * parseFloat(style.lineHeight) - editor.scrollTop;
    box.style.left = `${editor.offsetLeft + Math.max(0, Math.min(left, editor.clientWidth - 320))}px`;
    box.style.top = `${editor.offsetTop + Math.max(0, Math.min(top, editor.clientHeight)) + 4}px`;
  }

  let question = 0;
  async function ask(show) {
    const mine = ++question;
    const at = cursor();
    const body = new URLSearchParams({ content: editor.value, line: at.line, character: at.character });
    const answer = await fetch(editor.dataset.suggest, { method: 'POST', body }).catch(() => null);
    if (!answer || !answer.ok || mine !== question) return;
    box.innerHTML = await answer.text();
    about.replaceChildren(...box.querySelectorAll('.about'));
    if (!show) return close();
    for (const choice of box.querySelectorAll('[role=option]')) {
      const typed = editor.value.slice(at.start + Number(choice.dataset.start), at.start + at.character).toLowerCase();
      const name = choice.dataset.insert.toLowerCase();
      choice.hidden = !name.includes(typed) || name === typed;
    }
    if (choices().length === 0) return close();
    place(at);
    box.hidden = false;
    choose(0);
  }

  let waiting = 0;
  function soon(show, delay) {
    clearTimeout(waiting);
    waiting = setTimeout(() => ask(show), delay);
  }
  editor.addEventListener('input', (event) => {
    if (event.inputType === 'insertText' && event.data && /[\w@.$({-]/.test(event.data)) soon(true, 120);
    else { close(); soon(false, 400); }
  });
  editor.addEventListener('keydown', (event) => {
    if (event.key === ' ' && event.ctrlKey) {
      event.preventDefault();
      ask(true);
    } else if (event.key === 'Enter' && (box.hidden || chosen < 0) && !event.ctrlKey && !event.shiftKey) {
      const { start } = cursor(); // a new line begins where this one does
      const indent = /^ */.exec(editor.value.slice(start, editor.selectionStart))[0];
      if (indent === '') return;
      event.preventDefault();
      document.execCommand('insertText', false, `\n${indent}`);
    } else if (!box.hidden) {
      if (event.key === 'Escape') close();
      else if (event.key === 'ArrowDown') choose(chosen + 1);
      else if (event.key === 'ArrowUp') choose(chosen - 1);
      else if (event.key === 'Enter' || event.key === 'Tab') take(choices()[chosen]);
      else return;
      event.preventDefault();
    }
  });
  box.addEventListener('mousedown', (event) => {
    event.preventDefault(); // the cursor stays
    const choice = event.target.closest('[role=option]');
    if (choice) take(choice);
  });
  editor.addEventListener('click', () => { close(); soon(false, 250); });
  editor.addEventListener('keyup', (event) => { if (/^(Arrow|Home|End|Page)/.test(event.key) && box.hidden) soon(false, 250); });
  editor.addEventListener('blur', close);
})();
