// Two people bring a pull request that conflicts from opening to merge in real browsers. Usage:
//   node review.mjs URL PASSWORD SCREENSHOT-FOLDER
// The project "reviews" has a pipeline, and a branch "straw" that changes the same line of hats.txt as main. Ends with an error
// when a policy lets through what it should hold up, or holds up what it should let through.
import { mkdirSync } from 'node:fs';
import { finish, launch, presser, signIn, watch } from './browser.mjs';

const [url, password, folder] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const browser = await launch();
const problems = [];
const repo = url + '/reviews/_git/reviews';

async function person() {
  const page = await (await browser.newContext({ viewport: { width: 1360, height: 900 } })).newPage();
  watch(page, problems, 409);
  return page;
}

let number = 0;
async function shot(page, name) {
  number += 1;
  await page.screenshot({ path: `${folder}/${String(number).padStart(2, '0')}-${name}.png`, fullPage: true });
}

const click = (page, scope, name) => presser(page)(scope, name);

async function want(page, text, where = 'main') {
  if (!(await page.locator(where).first().innerText()).includes(text)) problems.push(`${page.url()} does not show "${text}"`);
}

const ada = await person();
await signIn(ada, url, 'admin', password);

// Grace is a contributor, who chooses a password of her own.
await ada.goto(url + '/_users');
await ada.fill('input[name=name]', 'grace');
await click(ada, ada, 'Add user');
const given = await ada.locator('main [role=status] pre.copy').innerText();
await ada.goto(url + '/reviews/_settings');
const adding = ada.locator('form', { has: ada.getByRole('button', { name: 'Add member' }) });
await adding.locator('input[name=user]').fill('grace');
await adding.locator('select[name=role]').selectOption('contributor');
await click(ada, ada, 'Add member');
const grace = await person();
await signIn(grace, url, 'grace', given);
await grace.fill('input[name=old]', given);
await grace.locator('main').locator('input[name=password]').fill('a-password-of-her-own');
await grace.fill('input[name=again]', 'a-password-of-her-own');
await click(grace, grace, 'Change password');

// main asks for one approval, a build of the merge result, and answers to all comments.
for (const [title, fill] of [
  ['Minimum number of reviewers', async (form) => { await form.locator('input[name=approvers]').fill('1'); await form.locator('select[name=reset]').selectOption('approvals'); }],
  ['Build', async () => {}],
  ['Comment requirements', async () => {}],
]) {
  await ada.goto(repo + '/policies');
  const form = ada.locator('section', { has: ada.getByRole('heading', { name: 'Add a policy' }) }).locator('details', { has: ada.locator('summary', { hasText: new RegExp(`^${title}$`) }) });
  await form.locator('summary').click();
  await form.locator('input[name=branch]').fill('main');
  await fill(form);
  await click(ada, form, 'Save');
}
await shot(ada, 'policies');

// The pull request conflicts, so it is not built; its author may not approve it.
await ada.goto(repo + '/branches');
await ada.locator('tr', { hasText: 'straw' }).getByRole('link', { name: /pull request/i }).click();
await ada.waitForLoadState('load');
await ada.fill('input[name=title]', 'Straw hats');
await click(ada, ada, 'Create pull request');
const pull = ada.url().split('?')[0];
await want(ada, 'Both branches changed the same lines of 1 file');
await want(ada, 'hats.txt');
if (await ada.getByRole('button', { name: 'Complete', exact: true }).count() !== 0) problems.push('a pull request with conflicts can be completed');
await shot(ada, 'conflict');

// Grace asks about a line.
await grace.goto(pull + '?_a=files');
await grace.locator('tr.added td.line a').last().click();
await grace.fill('tr.comments textarea[name=text]', 'In summer only?');
await click(grace, grace, 'Comment');

// Ada resolves the conflict on the page: the merge result is built now, by the policy alone.
await ada.goto(pull + '?_a=conflicts');
await shot(ada, 'resolving');
await ada.locator('.conflict .cm-content').fill('felt\nstraw, in summer\n');
await click(ada, ada, 'Resolve and commit the merge');
await ada.goto(pull);
await want(ada, 'It merges without conflicts.');
await click(ada, ada, 'Approve');
await want(ada, '0 of 1 approvals are there');
if (await ada.getByRole('button', { name: /^Complete( now)?$/ }).count() !== 0) problems.push('the page offers to complete what its policies hold up');
// Whoever sends the form nevertheless is refused.
await ada.getByRole('button', { name: 'Complete when policies hold' }).evaluate((button) => { button.value = 'complete'; });
await click(ada, ada, 'Complete when policies hold');
await want(ada, 'Minimum number of reviewers', 'body');
await shot(ada, 'refused');
await Promise.all([ada.waitForNavigation({ waitUntil: 'load' }), ada.getByRole('link', { name: 'Back to the page before' }).click()]);
await want(ada, 'Minimum number of reviewers', 'form > .refused'); // beside what was refused
if ((await ada.locator('main').innerText()).includes('Branch main has it')) problems.push('the pull request was completed without its policies');
await shot(ada, 'waits');
await click(ada, ada, 'Complete when policies hold');
await shot(ada, 'auto-complete');

// Grace approves; the question is still open.
await grace.goto(pull);
await click(grace, grace, 'Approve');
await shot(grace, 'approved');
const deadline = Date.now() + 180000;
async function until(page, what, holds) {
  for (;;) {
    await page.goto(pull);
    if (holds(await page.locator('main').innerText())) return;
    if (Date.now() > deadline) { problems.push(`${what}: not within three minutes`); return; }
    await page.waitForTimeout(500);
  }
}
const merged = (text) => text.includes('Branch main has it');
await until(grace, 'the build', (text) => /approved\s+Build/.test(text));
await shot(grace, 'built');
if (merged(await grace.locator('main').innerText())) problems.push('the pull request was completed with an open comment');

// Its answer resolved, nothing is left to wait for, and it completes itself.
await ada.goto(pull);
await click(ada, ada.locator('article.thread').first(), 'Resolve');
await until(ada, 'the completion', merged);
await shot(ada, 'completed');
await ada.goto(repo + '?path=hats.txt&version=GBmain');
await want(ada, 'straw, in summer');
await shot(ada, 'main');

await finish(browser, problems, `${number} pages`);
