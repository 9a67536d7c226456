// Makes ../static/editor of the editor and the libraries that it uses, with their licences. Every version is named in package.json, those that
// libraries use among themselves too, so that the outcome is the same wherever it is made.
import { readFileSync, writeFileSync } from 'node:fs';
import { build } from 'esbuild';

const goal = '../static/editor';
const { metafile } = await build({
  entryPoints: ['editor.js'], outfile: `${goal}/editor.js`, bundle: true, minify: true, format: 'iife', target: 'es2022', metafile: true, legalComments: 'none',
});
const used = new Set(Object.keys(metafile.inputs).map((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]).filter(Boolean));
const licences = new Map();
for (const name of [...used].sort()) {
  const { version } = JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8'));
  const text = readFileSync(`node_modules/${name}/LICENSE`, 'utf8').trim();
  licences.set(text, [...(licences.get(text) ?? []), `${name} ${version}`]);
}
writeFileSync(`${goal}/LICENSE`, [...licences].map(([text, names]) => `${names.join(', ')}:\n\n${text}\n`).join('\n\n'));
