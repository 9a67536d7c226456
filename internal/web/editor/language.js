// The languages that the editor knows, by the names of files.
import { StreamLanguage } from '@codemirror/language';
import { css } from '@codemirror/lang-css';
import { go } from '@codemirror/lang-go';
import { html } from '@codemirror/lang-html';
import { javascript } from '@codemirror/lang-javascript';
import { json } from '@codemirror/lang-json';
import { markdown } from '@codemirror/lang-markdown';
import { python } from '@codemirror/lang-python';
import { yaml } from '@codemirror/lang-yaml';
import { csharp, java } from '@codemirror/legacy-modes/mode/clike';
import { dockerFile } from '@codemirror/legacy-modes/mode/dockerfile';
import { powerShell } from '@codemirror/legacy-modes/mode/powershell';
import { properties } from '@codemirror/legacy-modes/mode/properties';
import { shell } from '@codemirror/legacy-modes/mode/shell';
import { toml } from '@codemirror/legacy-modes/mode/toml';
import { xml } from '@codemirror/legacy-modes/mode/xml';

const stream = (mode) => () => StreamLanguage.define(mode);

const languages = [
  [/\.ya?ml$/, yaml],
  [/\.json$/, json],
  [/\.(md|markdown)$/, markdown],
  [/\.go$/, go],
  [/\.[cm]?jsx?$/, () => javascript({ jsx: true })],
  [/\.[cm]?ts$/, () => javascript({ typescript: true })],
  [/\.tsx$/, () => javascript({ jsx: true, typescript: true })],
  [/\.py$/, python],
  [/\.html?$/, html],
  [/\.css$/, css],
  [/\.(xml|svg|(cs|fs|vb)proj|props|targets|config)$/, stream(xml)],
  [/\.cs$/, stream(csharp)],
  [/\.java$/, stream(java)],
  [/(^|\/)(dockerfile|containerfile)(\.[^/]*)?$|\.dockerfile$/, stream(dockerFile)],
  [/\.(sh|bash|zsh)$/, stream(shell)],
  [/\.ps[dm]?1$/, stream(powerShell)],
  [/\.toml$/, stream(toml)],
  [/\.(properties|ini|env)$|(^|\/)\.env$/, stream(properties)],
];

/** languageOf is the extension for the file of a path, and nothing for one that is not known. */
export function languageOf(path) {
  const found = languages.find(([name]) => name.test(path.toLowerCase()));
  return found ? found[1]() : [];
}
