// What runs wait for, and what overtakes them, in a real browser: pushes of a batch, approvals, a sequential lock, manual validations, a newer commit of a pull
// request, a pool without machines; tests that begin to fail and turn out flaky; a run of many jobs. Usage:
//   node waits.mjs URL PASSWORD SCREENSHOT-FOLDER PROJECT JOBS
// PROJECT is that of results.mjs after it, whose last run waits for an approval, with a pipeline "many" of JOBS jobs that do not run. Ends with an error when a
// page answers badly, writes an error to the console, is wider than the window, or lacks what it is for.
import { finish, launch, photographer, presser, sayer, signIn, watch } from './browser.mjs';

const [url, password, folder, project, jobs] = process.argv.slice(2);
const browser = await launch();
const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
page.setDefaultTimeout(60_000);
const problems = [];
watch(page, problems);
const shot = photographer(page, folder, problems);

const says = sayer(page, problems);
const press = presser(page);

const stage = (name) => page.locator('.stages .stage', { has: page.locator('strong', { hasText: name }) });
const become = (name, state) => stage(name).locator('.linked').first().getByText(state, { exact: true }).waitFor({ timeout: 120_000 });
const quay = `${url}/${project}/_environments/quay`;

// edit changes hat.txt in the editor, on a branch, or on a new one for a pull request.
async function edit(content, message, { branch = 'main', to } = {}) {
  await page.goto(`${url}/${project}/_git/${project}/edit?path=hat.txt&version=GB${encodeURIComponent(branch)}`);
  await page.locator('.cm-content').fill(`${content}\n`);
  await page.getByLabel('Message').fill(message);
  if (to) {
    await page.getByLabel('On a new branch').check();
    await page.getByLabel('Name of the new branch').fill(to);
  }
  await press(page, 'Commit');
}

// runs lists the addresses of the newest runs.
async function runs(pipeline = project) {
  await page.goto(`${url}/${project}/_build`);
  await page.locator('main table').first().getByRole('link', { name: pipeline, exact: true }).click();
  await page.waitForLoadState('load');
  return page.locator('main tr td:first-child a[href*="buildId="]').evaluateAll((links) => links.map((a) => a.href));
}

// newRun waits for another run than those that were there.
async function newRun(before, pipeline = project) {
  for (let tries = 0; tries < 100; tries += 1) {
    const [first] = (await runs(pipeline)).filter((run) => !before.includes(run));
    if (first) return first;
    await page.waitForTimeout(200);
  }
  throw new Error(`no run of ${pipeline} has started`);
}

async function queue() {
  await page.goto(`${url}/${project}/_build`);
  await page.getByRole('link', { name: `Run ${project}` }).click();
  await page.waitForLoadState('load');
  await press(page, 'Run');
  await become('Make', 'succeeded');
  await become('Ship', 'waiting');
  return page.url();
}

// decide answers what a run asks for on the page of the environment.
async function decide(run, button, comment) {
  await page.goto(quay);
  const asked = page.locator('section.approval', { has: page.locator(`a[href$="${run.slice(run.indexOf('buildId='))}"]`) });
  await asked.getByLabel('Comment').fill(comment);
  await press(asked, button);
}

await signIn(page, url, 'admin', password);

// A run by hand waits for an approval. One of a push is under way then: the pushes after it wait, and are built together.
const [byHand] = await runs();
await page.goto(byHand);
await page.getByRole('button', { name: 'Cancel', exact: true }).click();
await become('Ship', 'canceled');
let before = await runs();
await edit('wool', 'Hats of wool');
const pushed = await newRun(before);
await page.goto(pushed);
await become('Make', 'succeeded');
await become('Ship', 'waiting');
await says('a run of a batched file', 'batched push', 'waits for an approval of environment quay');
before = await runs();
await edit('cotton', 'Hats of cotton');
await edit('straw', 'Hats of straw');
await runs();
await page.getByText('2 pushes to main wait for the run under way, which one run then builds together.').waitFor();
await shot('batch');

// Who may approve sees what is asked for: in the project, of the environment.
await page.goto(`${url}/${project}`);
await says('the project', 'waits for an approval to deploy to quay');
await shot('project-with-an-approval');
await page.goto(`${url}/${project}/_environments`);
await says('environments', '1 to approve');
await shot('environments');
await page.goto(quay);
await says('an environment that is asked for', 'Stage Ship waits for an approval', 'Is the tide high?', 'approvers: administrators');
await shot('approval');
await decide(pushed, 'Approve', 'it is');
await page.goto(pushed);
await page.getByText('Does the ship still float?').waitFor();
await shot('validation');
await page.getByLabel('Comment').fill('like a cork');
await press(page, 'Resume');
await become('Ship', 'succeeded');

// The pushes that waited are one run. Its tests fail, and pass when the job runs again on the same commit: one of them is flaky.
const together = await newRun(before);
await page.goto(together);
await become('Make', 'failed');
await page.reload();
await says('tests that fail', 'batched push', 'Hats of straw', 'New failures', 'fits', 'Compared with run');
await shot('new-failures');
await page.locator('section', { has: page.getByRole('heading', { name: 'Tests', exact: true }) }).getByRole('link', { name: 'Hats' }).click();
await page.waitForLoadState('load');
await says('a test that fails', 'the hat is too small', 'expected 57, got 54', 'new');
await shot('tests-that-fail');
await page.goto(together);
await press(page, 'Retry failed jobs');
await become('Make', 'succeeded');
await page.reload();
await says('tests that pass then', 'Flaky', 'Attempt 1');
await page.locator('summary', { hasText: 'Attempt 1' }).click();
await shot('flaky');
await page.getByRole('link', { name: 'fits', exact: true }).first().click();
await page.waitForLoadState('load');
await says('history of a flaky test', '1 failed', 'attempt 2', 'the hat is too small');
await shot('history-of-a-flaky-test');

// A sequential lock: runs have it in their order, and say for whom they wait. What is rejected does not get it.
await page.goto(together);
await become('Ship', 'waiting');
const second = await queue();
const third = await queue();
await decide(together, 'Approve', '');
await page.goto(together);
await page.getByText('Does the ship still float?').waitFor();
await decide(second, 'Approve', '');
await decide(third, 'Reject', 'enough ships');
await page.goto(third);
await become('Ship', 'failed');
await says('a rejected stage', 'rejected', 'admin', 'enough ships');
await shot('rejected');
await page.goto(second);
await stage('Ship').getByText('place 1 of those that wait').waitFor();
await shot('waits-for-its-turn');
await page.goto(quay);
await says('a lock', 'has it', 'waits');
await shot('environment-with-a-lock');
await page.goto(together);
await press(page, 'Resume');
await become('Ship', 'succeeded');
await page.goto(second);
await page.getByText('Does the ship still float?').waitFor();
await press(page, 'Reject');
await become('Ship', 'failed');
await shot('validation-rejected');

// A newer commit of a pull request overtakes the run of the one before.
before = await runs();
await edit('silk', 'Hats of silk', { to: 'silk' });
await press(page, 'Create pull request');
const request = page.url();
const overtaken = await newRun(before);
await page.goto(overtaken);
await become('Look', 'running');
await page.getByText('Look at the hats of this change.').waitFor();
before = await runs();
await edit('lace', 'Hats of lace', { branch: 'silk' });
const newer = await newRun(before);
await page.goto(overtaken);
await become('Look', 'canceled');
await says('a run that was overtaken', 'Canceled by', 'which is of a newer commit');
await shot('overtaken');
await page.goto(newer);
await page.getByText('Look at the hats of this change.').waitFor();
await press(page, 'Resume');
await become('Look', 'succeeded');
await page.goto(request);
await says('a pull request', 'Hats of silk', 'succeeded');
await shot('pull-request');

// A pool of machines none of which has registered: the job says so.
const pool = `metal-${Date.now()}`;
await page.goto(`${url}/_pools`);
const making = page.locator('section', { has: page.getByRole('heading', { name: 'New pool' }) });
await making.getByLabel('Name, as pipelines write it').fill(pool);
await making.getByLabel('Description').fill('What is made of metal');
await making.getByLabel('Jobs run on machines that register').check();
await press(making, 'Save');
await page.locator(`#pool-${pool} summary`).first().click();
await shot('pool-of-machines');
before = await runs();
await page.goto(`${url}/${project}/_git/${project}/edit?path=azure-pipelines.yml&version=GBmain`);
const file = await page.inputValue('textarea.editor');
await page.locator('.cm-content').fill(file.replace('displayName: Make hats\n', `displayName: Make hats\n        pool: ${pool}\n`));
await page.getByText('It would run', { exact: false }).waitFor();
await page.getByText('Stages and jobs').click();
await page.locator('#draft-graph pre', { hasText: 'Ship' }).waitFor();
await page.getByText('With its templates expanded').click();
await page.locator('#draft-expanded pre', { hasText: `pool: ${pool}` }).waitFor();
await Promise.all([page.waitForResponse((r) => r.url().endsWith('/check')), page.locator('.cm-content').press('Control+End').then(() => page.keyboard.type('# typed'))]);
await page.locator('#draft-graph[open] pre').waitFor(); // what was opened stays open while somebody types
await shot('editor-with-the-graph');
await page.getByLabel('Message').fill('Make hats of metal');
await press(page, 'Commit');
const waiting = await newRun(before);
await page.goto(waiting);
await page.locator('.job', { hasText: 'Make hats' }).getByText(pool).waitFor();
await shot('waits-for-a-machine');
await page.getByRole('button', { name: 'Cancel', exact: true }).click();
await become('Make', 'canceled');
await says('a canceled run', 'Canceled by', 'admin');

// A pipeline with a cache, whose page lists and deletes it.
await runs();
await says('a pipeline with a cache', 'felt');
await shot('pipeline-with-a-cache');
const caches = page.getByLabel('Caches');
await press(caches.locator('form.row'), 'Delete all');
if (await page.getByLabel('Caches').count() !== 0) problems.push('the caches of a pipeline are not deleted');

// A run of many jobs: a hundred on a page, those of a stage behind its name, and why nothing ran.
const [many] = await runs('many');
let began = Date.now();
await page.goto(many);
const drawn = Date.now() - began;
await says('a run of many jobs', `Jobs 1 to 100 of ${jobs}`);
await shot('many-jobs');
await page.getByRole('link', { name: 'More', exact: true }).click();
await page.waitForLoadState('load');
await says('the next page of many jobs', `Jobs 101 to 200 of ${jobs}`);
await page.goto(many);
began = Date.now();
await page.getByRole('link', { name: 'Why', exact: true }).click();
await page.waitForLoadState('load');
const why = Date.now() - began;
await says('why many jobs did not run', 'eq(1, 2) is False');
await shot('why-of-many-jobs');

await finish(browser, problems, `what runs wait for: a run of ${jobs} jobs is shown in ${drawn} ms, why it went so in ${why} ms; ${await shot('end')} pages at two widths`);
