// The editor of files: CodeMirror in place of each text area of the class `editor`, which stays behind it as the field of its form. Of pipeline files it
// shows what may stand at the cursor, what stands there, and where the mistakes are.
import { acceptCompletion, autocompletion } from '@codemirror/autocomplete';
import { HighlightStyle, syntaxHighlighting } from '@codemirror/language';
import { lintGutter, setDiagnostics } from '@codemirror/lint';
import { search } from '@codemirror/search';
import { Compartment, EditorState } from '@codemirror/state';
import { EditorView, keymap } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { basicSetup } from 'codemirror';
import { languageOf } from './language.js';

// The colours are those in which the pages show files.
const colours = syntaxHighlighting(HighlightStyle.define([
  { tag: [tags.keyword, tags.tagName, tags.bool, tags.null], class: 'hk' },
  { tag: [tags.string, tags.regexp], class: 'hs' },
  { tag: tags.comment, class: 'hc' },
  { tag: [tags.number, tags.atom], class: 'hn' },
  { tag: [tags.definition(tags.propertyName), tags.propertyName, tags.heading, tags.link, tags.function(tags.variableName)], class: 'hf' },
  { tag: [tags.attributeName, tags.meta, tags.labelName, tags.typeName], class: 'ha' },
]));

for (const field of document.querySelectorAll('textarea.editor')) {
  document.addEventListener('DOMContentLoaded', () => replace(field)); // after what was written before is back in its fields
}

/** replace puts an editor before a text area, which has what stands in it at every moment. */
function replace(field) {
  const [label] = field.labels;
  const language = new Compartment();
  const extensions = [
    basicSetup, colours, search({ top: true }), language.of(languageOf(field.dataset.path || '')), EditorState.tabSize.of(4),
    EditorView.contentAttributes.of({ 'aria-label': label.textContent.trim() }),
    EditorView.updateListener.of((update) => {
      if (!update.docChanged) return;
      field.value = update.state.doc.toString();
      field.dispatchEvent(new Event('input', { bubbles: true }));
    }),
  ];
  if (field.dataset.suggest) extensions.push(...ofPipelines(field));
  const view = new EditorView({ doc: field.value, extensions });
  field.before(view.dom);
  field.hidden = true;
  label.removeAttribute('for');
  label.addEventListener('click', () => view.focus());

  const path = field.form.elements.path;
  if (path && !field.dataset.path) {
    path.addEventListener('input', () => view.dispatch({ effects: language.reconfigure(languageOf(path.value)) }));
  }
  if (field.dataset.suggest) showMistakes(view);
  keep(field);
}

/** keep asks whoever leaves with changes that are not saved. */
function keep(field) {
  let changed = false;
  field.addEventListener('input', () => { changed = true; });
  field.form.addEventListener('submit', () => { changed = false; });
  window.addEventListener('beforeunload', (event) => { if (changed) event.preventDefault(); });
}

/** ofPipelines are the extensions that know the language of pipeline files. */
function ofPipelines(field) {
  const about = document.getElementById('about');

  // ask gets what may stand at a place, and says below the editor what stands there.
  async function ask(state, position) {
    const line = state.doc.lineAt(position);
    const body = new URLSearchParams({ content: state.doc.toString(), line: line.number - 1, character: position - line.from });
    const answer = await fetch(field.dataset.suggest, { method: 'POST', body }).catch(() => null);
    if (!answer || !answer.ok) return [];
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    about.replaceChildren(...page.querySelectorAll('.about'));
    return [...page.querySelectorAll('[role=option]')].map((choice, i) => ({
      boost: Math.max(99 - i, -99), // their order says what is meant most often
      label: choice.dataset.insert, displayLabel: choice.querySelector('code').textContent, detail: choice.querySelector('.hint').textContent, info: choice.title || undefined,
      from: line.from + Number(choice.dataset.start), to: line.from + Number(choice.dataset.end),
    }));
  }

  async function complete(context) {
    if (!context.explicit && !context.matchBefore(/[\w@.$({-]$/)) return null;
    const choices = await ask(context.state, context.pos);
    const typed = (choice) => context.state.sliceDoc(choice.from, context.pos);
    const options = choices.filter((choice) => choice.from === choices[0].from && choice.label !== typed(choice));
    return options.length === 0 ? null : { from: options[0].from, to: options[0].to, options };
  }

  let waiting = 0;
  return [
    autocompletion({ override: [complete], icons: false, activateOnTypingDelay: 120 }),
    keymap.of([{ key: 'Tab', run: acceptCompletion }]),
    lintGutter(),
    EditorView.updateListener.of((update) => {
      if (!update.selectionSet && !update.docChanged) return;
      clearTimeout(waiting);
      waiting = setTimeout(() => ask(update.view.state, update.view.state.selection.main.head), 300);
    }),
  ];
}

/** showMistakes marks in the editor what the panel below it says, and puts the cursor where somebody chooses one. */
function showMistakes(view) {
  const panel = document.getElementById('draft');
  const range = (link) => {
    const line = view.state.doc.line(Math.min(Math.max(Number(link.dataset.line), 1), view.state.doc.lines));
    const from = Math.min(line.from + Math.max(Number(link.dataset.column), 1) - 1, line.to);
    return { from, to: line.from + line.text.trimEnd().length > from ? line.from + line.text.trimEnd().length : line.to };
  };
  panel.addEventListener('htmx:afterSwap', () => {
    view.dispatch(setDiagnostics(view.state, [...panel.querySelectorAll('li')].flatMap((item) => {
      const link = item.querySelector('[data-line]');
      if (!link) return []; // it is in another file
      return [{ ...range(link), severity: item.querySelector('.is-bad') ? 'error' : 'warning', message: item.querySelector('.said').textContent }];
    })));
  });
  panel.addEventListener('click', (event) => {
    const link = event.target.closest('[data-line]');
    if (!link) return;
    event.preventDefault();
    const { from, to } = range(link);
    view.dispatch({ selection: { anchor: to, head: from }, effects: EditorView.scrollIntoView(from, { y: 'center' }) });
    view.focus();
  });
}
