// What a pipeline takes from the library and what its runs leave, in a real browser: variable groups, secure files, service connections, the editor of a new
// file; artifacts, attachments, summaries, warnings, tests and their history, coverage, caches, tags. Usage:
//   node results.mjs URL PASSWORD SCREENSHOT-FOLDER PROJECT PIPELINE
// PROJECT has the files of test/e2e/testdata/results but for the pipeline's, which is the file PIPELINE. Ends with an error when a page answers badly,
// writes an error to the console, is wider than the window, or lacks what it is for.
import { readFileSync } from 'node:fs';
import { finish, launch, photographer, presser, sayer, signIn, watch } from './browser.mjs';

const [url, password, folder, project, file] = process.argv.slice(2);
const browser = await launch();
const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
page.setDefaultTimeout(60_000);
const problems = [];
watch(page, problems);
const shot = photographer(page, folder, problems);

const says = sayer(page, problems);
const press = presser(page);

async function downloaded(link) {
  const [download] = await Promise.all([page.waitForEvent('download'), link.click()]);
  return { name: download.suggestedFilename(), text: readFileSync(await download.path(), 'utf8') };
}

const stage = (name) => page.locator('.stages .stage', { has: page.locator('strong', { hasText: name }) });
const section = (title) => page.locator('section', { has: page.getByRole('heading', { name: title, exact: true }) });

await signIn(page, url, 'admin', password);

// The library: a group with a variable and a secret, and a file, whose contents are not shown again.
await page.goto(`${url}/${project}/_library`);
await says('no variable group', 'No variable group yet', '- group:');
await page.getByLabel('New group').fill('hats');
await press(page, 'Create group');
for (const [name, value, secret] of [['brim', 'wide', false], ['pin', 'of-silver', true]]) {
  const form = section('hats').locator('form', { has: page.getByRole('button', { name: 'Set' }) });
  await form.getByLabel('Name').fill(name);
  await form.getByLabel('Value').fill(value);
  if (secret) await form.getByLabel('Secret').check();
  await press(form, 'Set');
}
await says('a variable group', 'brim', 'wide', 'pin', 'secret');
if ((await page.content()).includes('of-silver')) problems.push('the page of variable groups shows a secret');
await shot('variable-groups');
await page.goto(`${url}/${project}/_library/files`);
await says('no secure file', 'No secure file yet', 'DownloadSecureFile@1');
await page.getByLabel('File', { exact: true }).setInputFiles({ name: 'pattern.txt', mimeType: 'text/plain', buffer: Buffer.from('herringbone\n') });
await press(page, 'Upload');
await says('secure files', 'pattern.txt', '12 B', 'admin');
await shot('secure-files');

// A service connection that no pipeline may use yet.
await page.goto(`${url}/${project}/_settings/connections`);
await page.getByLabel('Type').fill('externalpythondownloadfeed');
await press(page, 'New connection');
await page.getByLabel('Name', { exact: true }).fill('feed');
await page.getByLabel('URL').fill('https://feed.example.com/simple');
await page.getByLabel('username').fill('ada');
await page.getByLabel('password').fill('of-straw');
await press(page, 'Save');
await says('a new connection', 'No run has used it yet');
const connection = page.url();

// An environment that asks for an approval, and takes one stage at a time.
await page.goto(`${url}/${project}/_environments`);
await says('no environment', 'There is no environment yet');
await page.getByText('New environment').click();
await page.getByLabel('Name').fill('quay');
await press(page, 'Create');
await page.locator('#approval').getByText('Change').click();
await page.getByLabel('Approvers, apart').fill('administrators');
await page.getByLabel('What approvers should look at').fill('Is the tide high?');
await press(page, 'Ask for approval');
await press(page.locator('#lock'), 'One stage at a time');
await says('an environment with checks', '1 of administrators must approve', 'One stage at a time deploys here');
await shot('environment-with-checks');

// The editor of a new file says what would become of it; the connection cannot be used yet, and the page where that changes is a click away.
await page.goto(`${url}/${project}/_git/${project}`);
await page.getByRole('link', { name: 'New file' }).click();
await page.getByLabel('Path').fill('azure-pipelines.yml');
await page.locator('.cm-content').fill(readFileSync(file, 'utf8'));
await page.getByText('No run could start: 1 mistake').waitFor();
await says('a connection that may not be used', 'feed');
await shot('editor-of-a-new-file');
await page.getByLabel('Message').fill('Make hats');
await press(page, 'Commit');
await page.goto(`${url}/${project}/_build`);
await page.locator('main table a').first().click();
await page.waitForLoadState('load');
await page.locator('main table a').first().click();
await page.waitForLoadState('load');
await says('a run of a file with a mistake', 'The pipeline could not be read', 'azure-pipelines.yml:', 'feed');
await shot('run-with-a-mistake');
await page.goto(connection);
await page.getByLabel(project, { exact: true }).check();
await press(page, 'Save');

// What the run leaves.
await page.goto(`${url}/${project}/_build`);
await page.getByRole('link', { name: `Run ${project}` }).click();
await page.waitForLoadState('load');
await press(page, 'Run');
const run = page.url();
await stage('Make').getByText('succeeded').waitFor({ timeout: 180_000 });
await page.reload();
await says('a run with everything', 'made-of-felt', 'Three sizes of felt', 'the brim is wide', 'src/hat.py', 'label.txt', 'Weigh the ship', 'waits for an approval');
await shot('run');
await page.getByText('Add a tag').click();
await page.getByLabel('Tag', { exact: true }).fill('worn');
await press(page, 'Add');
await page.getByRole('link', { name: 'worn', exact: true }).click();
await page.waitForLoadState('load');
await says('runs with a tag', 'Runs with the tag', 'Make hats');
await shot('runs-with-a-tag');

// Artifacts: browsed on the page, one file or all of it downloaded.
await page.goto(run);
const artifacts = section('Artifacts');
await artifacts.locator('summary').click();
const hat = await downloaded(artifacts.getByRole('link', { name: 'hat.txt', exact: true }));
if (hat.name !== 'hat.txt' || hat.text !== 'felt\n') problems.push(`a file of an artifact is ${JSON.stringify(hat)}`);
const all = await downloaded(artifacts.getByRole('link', { name: 'All of it as a tar file' }));
if (all.name !== 'hats.tar' || !all.text.includes('sizes/57.txt') || !all.text.includes('felt, size 57')) problems.push(`an artifact as ${all.name} lacks its files`);
const label = await downloaded(section('Attachments').getByRole('link', { name: /label.txt/ }));
if (label.text !== 'felt\n') problems.push(`the attachment is ${JSON.stringify(label)}`);
await shot('artifacts');

// The log has what came from the library, and stars for what is secret.
await page.locator('.job', { hasText: 'Make hats' }).getByRole('link', { name: 'Make', exact: true }).click();
await page.locator('pre.log', { hasText: 'the brim is wide, the pattern herringbone, the pin ***' }).waitFor();
await shot('log');

// Coverage: by package, by file, by line.
await page.goto(run);
await section('Coverage').getByRole('link', { name: 'All files' }).click();
await page.waitForLoadState('load');
await says('coverage', 'src/hat.py', '75.0 %');
await shot('coverage');
await page.getByRole('link', { name: 'src/hat.py' }).click();
await page.waitForLoadState('load');
await says('coverage of a file', 'return "narrow"');
if (await page.locator('tr.uncovered').count() !== 1 || await page.locator('tr.partly').count() !== 1) problems.push('the lines of a file are not marked as the report says');
await shot('coverage-of-a-file');

// Tests: all of them, and the history of one.
await page.goto(run);
await section('Tests').getByRole('link', { name: 'Hats' }).click();
await page.waitForLoadState('load');
await says('tests', 'has a brim', 'fits', 'floats', 'burns', 'skipped', 'Slowest tests', 'felt Winter');
const reported = await downloaded(section('Attachments').getByRole('link', { name: 'tests.xml' }));
if (reported.name !== 'tests.xml' || !reported.text.includes('<testsuite')) problems.push(`the file of test results is ${JSON.stringify(reported)}`);
await shot('tests');
await page.getByRole('link', { name: 'fits', exact: true }).first().click();
await page.waitForLoadState('load');
await says('history of a test', '1 passed', '0 failed', 'for felt Winter');
await shot('history-of-a-test');

// The connection says who used it.
await page.goto(connection);
await says('a connection that was used', 'Make.make', 'Open the feed');
await shot('connection');

await finish(browser, problems, `what runs leave: ${await shot('end')} pages at two widths`);
