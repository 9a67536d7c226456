// Signs in with a real browser, opens every page of the project "sample" and clicks through it. Usage:
//   node pages.mjs URL PASSWORD SCREENSHOT-FOLDER
// Ends with an error when a page answers badly, writes an error to the console, or lacks what it is for.
import { mkdirSync } from 'node:fs';
import { finish, launch, signIn, watch } from './browser.mjs';

const [url, password, folder] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const browser = await launch();
const page = await browser.newPage({ viewport: { width: 1360, height: 900 } });
const problems = [];
watch(page, problems);
page.on('dialog', (d) => d.accept()); // an editor with changes asks before it is left

let number = 0;
async function shot(name) {
  number += 1;
  await page.screenshot({ path: `${folder}/${String(number).padStart(2, '0')}-${name}.png`, fullPage: true });
}

async function see(name, path, ...texts) {
  await page.goto(url + path, { waitUntil: 'load' });
  const body = await page.locator('main').innerText();
  for (const text of texts) {
    if (!body.includes(text)) problems.push(`${path}: does not show "${text}"`);
  }
  await shot(name);
}

await page.goto(`${url}/`);
await shot('sign-in');
await signIn(page, url, 'admin', password);
await shot('projects');

await see('overview', '/sample', 'dev', 'production', 'Latest runs', 'Next');
if (await page.locator('.ring li.is-good').count() < 8) problems.push('the ring does not show how far the change has come');
await see('repositories', '/sample/_git', 'sample');
await see('repository', '/sample/_git/sample', 'azure-pipelines.yml');
await page.getByRole('link', { name: 'azure-pipelines.yml' }).first().click();
await page.waitForLoadState('load');
await shot('file');
await page.locator('table.source td.line a').nth(1).click();
await page.locator('table.source td.line a').nth(3).click({ modifiers: ['Shift'] });
await page.waitForURL(/#L2-L4$/);
if (await page.locator('tr.chosen').count() !== 3) problems.push('a range of lines is not chosen by Shift and a click');
await page.keyboard.press('b');
await page.waitForURL(/blame/);
await shot('blame');
await see('folder-search', '/sample/_git/sample/search?text=stages', 'azure-pipelines.yml');
await page.goto(url + '/sample/_git/sample');
await page.keyboard.press('t');
await page.waitForURL(/find/);
await page.keyboard.type('azpip');
await page.locator('#names a', { hasText: 'azure-pipelines.yml' }).waitFor();
await shot('find-file');
await see('commits', '/sample/_git/sample/commits', 'Author');
await page.locator('main table a').first().click();
await page.waitForLoadState('load');
await shot('commit');
await see('compare', '/sample/_git/sample/branchCompare?baseVersion=GBmain&targetVersion=GBlater&wait=yes', 'ahead of', 'NOTES.md');
await see('branches', '/sample/_git/sample/branches', 'main', 'default');
await see('tags', '/sample/_git/sample/tags');
await see('pull-requests', '/sample/_git/sample/pullrequests', 'Keep notes');
await see('pull-requests-completed', '/sample/_git/sample/pullrequests?_a=completed', 'Greet politely');
await page.getByRole('link', { name: 'Greet politely' }).click();
await page.waitForLoadState('load');
if (!(await page.locator('main').innerText()).includes('squash')) problems.push('the completed pull request does not say how it was merged');
await shot('pull-request-completed');
await page.goto(url + '/sample/_git/sample/pullrequests');
await page.getByRole('link', { name: 'Keep notes' }).click();
await page.getByRole('button', { name: 'Approve', exact: true }).click();
await page.waitForLoadState('load');
if (!(await page.locator('main').innerText()).includes('approved')) problems.push('the vote on the pull request is not shown');
await shot('pull-request');
await page.getByRole('navigation', { name: 'Pull request' }).getByRole('link', { name: 'Files' }).click();
await page.waitForLoadState('load');
if (!(await page.locator('main').innerText()).includes('NOTES.md')) problems.push('the pull request does not show its files');
await shot('pull-request-files');
await page.locator('tr.added td.line a').last().click();
await page.fill('tr.comments textarea[name=text]', 'Which notes, for *AB#3*?');
await page.getByRole('button', { name: 'Comment', exact: true }).click();
await page.waitForLoadState('load');
if (await page.locator('tr.comments article.thread', { hasText: 'Which notes' }).count() !== 1) problems.push('the comment is not shown below its line');
await shot('pull-request-thread');
await page.getByRole('link', { name: 'Side by side', exact: true }).click();
await page.waitForLoadState('load');
if (await page.locator('table.diff.sides').count() === 0) problems.push('the files are not shown side by side');
await shot('pull-request-sides');
await page.getByRole('button', { name: 'Mark as viewed', exact: true }).first().click();
await page.getByText('1 viewed').waitFor();
await page.getByRole('link', { name: 'Inline', exact: true }).click();
await page.waitForLoadState('load');
await see('new-pull-request', '/sample/_git/sample/pullrequestcreate?sourceRef=later', 'notes', 'NOTES.md');
await see('pipelines', '/sample/_build', 'sample');
await see('run', '/sample/_build/results?buildId=1', 'Build', 'Dev', 'Production', 'Unit tests');
await page.locator('section', { has: page.getByRole('heading', { name: 'Tests', exact: true }) }).getByRole('link', { name: 'Unit tests' }).click();
await page.waitForLoadState('load');
await shot('tests');
await page.locator('table a').first().click();
await page.waitForLoadState('load');
if (!(await page.locator('main').innerText()).includes(' 0 failed, ')) problems.push('the page of a test does not show its history');
await shot('test-history');

// The editor says what becomes of the pipeline while somebody types, and where it is wrong.
await page.goto(url + '/sample/_git/sample/edit?path=azure-pipelines.yml&version=GBmain');
await page.getByText('It would run.').waitFor();
await shot('editor');
const content = page.locator('.cm-content');
const text = () => page.inputValue('textarea.editor');
const right = await text();
await content.fill(right.replace('displayName: Unit tests', 'dispalyName: Unit tests'));
await page.getByText('did you mean "displayName"?').first().waitFor();
await page.locator('#draft a').first().click();
await page.locator('.cm-lintRange-error').first().waitFor(); // of lines out of sight there is nothing in the page
const chosen = await page.evaluate(() => getSelection().toString());
if (!chosen.startsWith('dispalyName')) problems.push(`the place of a mistake chooses "${chosen}"`);
await shot('editor-mistake');

// It offers what may stand at the cursor, says what stands there, and can be undone.
const choices = page.locator('.cm-tooltip-autocomplete [role=option]');
await content.fill('steps:\n- task: ');
await content.press('Control+End');
await page.keyboard.type('Dock');
await choices.filter({ hasText: 'Docker@2' }).waitFor();
await shot('editor-choices');
await page.keyboard.press('Enter');
if (await text() !== 'steps:\n- task: Docker@2') problems.push(`a choice makes "${await text()}" of the text`);
await page.locator('#about').getByText('Docker@2').first().waitFor();
await page.keyboard.press('Control+z');
if (await text() !== 'steps:\n- task: Dock') problems.push('a choice cannot be undone');
await page.keyboard.press('Control+Space');
await choices.filter({ hasText: 'Docker@2' }).waitFor();
await page.keyboard.press('Escape');
await choices.first().waitFor({ state: 'detached' });

// Why the run did what it did, and what its logs say.
await page.goto(url + '/sample/_build/results?buildId=1');
await page.getByRole('link', { name: 'Why', exact: true }).click();
await page.waitForLoadState('load');
if (!(await page.locator('main').innerText()).includes('Production')) problems.push('the page Why does not tell of the stage Production');
await shot('why');
await page.goto(url + '/sample/_build/results?buildId=1');
await page.getByRole('search').getByRole('textbox').fill('go test');
await page.getByRole('search').getByRole('button', { name: 'Search' }).click();
await page.waitForLoadState('load');
await shot('log-search');
await page.locator('ul.found a').first().click();
await page.waitForLoadState('load');
if (await page.locator('pre.log .chosen').count() !== 1) problems.push('a found line is not shown by its link');
await shot('log-line');
await see('variable-groups', '/sample/_library', 'Variable groups');
await see('secure-files', '/sample/_library/files', 'Secure files');
await see('images', '/sample/_images', 'web', 'orders');

// The build of an image leads to the log of the step that made it.
await see('image-builds', '/sample/_imagebuilds', 'sample/web', 'succeeded');
await page.locator('main td a', { hasText: 'sample/web' }).last().click();
await page.getByRole('link', { name: 'Build and push web' }).click();
await page.locator('#log pre.log .line').first().waitFor();
await shot('image-build-step');
await see('vulnerabilities', '/sample/_vulnerabilities', 'What is not accepted', 'Accept a vulnerability');
await see('environments', '/sample/_environments', 'dev', 'production');
await see('environment', '/sample/_environments/dev', 'SHOP_HOST', 'REPLICAS', 'No machine has registered yet');
await see('health', '/sample/_insights', 'web');
await see('performance', '/sample/_insights/performance', 'p95');
await see('usage', '/sample/_insights/usage');
await see('logs', '/sample/_insights/logs');
await see('alerts', '/sample/_insights/alerts');
await see('board', '/sample/_boards', 'As a customer');
await see('item', '/sample/_workitems/edit/3', 'add the shop');
await see('trace', '/sample/_trace');
await see('clusters', '/_clusters', 'Ready');
await see('settings', '/sample/_settings', 'Members');
await see('profile', '/profile', 'Personal access tokens', 'SSH keys');
await see('pools', '/_pools', 'default');
await page.locator('#pool-default summary').click();
await shot('pool');
await see('upstreams', '/_upstreams', 'New upstream');
await see('tasks', '/_tasks', 'No task was uploaded yet');
await see('limits-of-jobs', '/sample/_settings/jobs', 'What jobs reach');

// A service connection: its password is stored, and not shown again.
await see('connections', '/sample/_settings/connections');
await page.fill('input[name=new]', 'dockerregistry');
await page.getByRole('button', { name: 'New connection' }).click();
await page.waitForLoadState('load');
const hub = `hub-${Date.now()}`;
await page.fill('input[name=name]', hub);
await page.fill('input[name="p.username"]', 'ada');
await page.fill('input[name="p.password"]', 'seen nowhere');
await shot('new-connection');
await page.getByRole('button', { name: 'Save' }).click();
await page.waitForLoadState('load');
if (!(await page.locator('main').innerText()).includes(hub)) problems.push('the new service connection is not shown');
if ((await page.content()).includes('seen nowhere')) problems.push('the page of a service connection shows its password');
await shot('connection');

// A webhook, whose address is shown.
const hook = `hook${Date.now()}`;
await see('webhooks', '/sample/_settings/webhooks');
await page.fill('main input[name=name]', hook);
await page.getByRole('button', { name: 'Create' }).click();
await page.waitForLoadState('load');
if (!(await page.locator('main').innerText()).includes(hook)) problems.push('the new webhook is not shown');
await shot('webhook');

// A branch policy, which is turned down again so that it holds nothing up.
await see('policies', '/sample/_git/sample/policies', 'Add a policy');
const reviewers = page.locator('details', { hasText: 'Minimum number of reviewers' }).last();
await reviewers.locator('summary').click();
await reviewers.locator('input[name=branch]').fill('release/*');
await reviewers.locator('input[name=approvers]').fill('2');
await shot('new-policy');
await reviewers.getByRole('button', { name: 'Save' }).click();
await page.waitForLoadState('load');
if (!(await page.locator('main').innerText()).includes('release/*')) problems.push('the new policy is not shown');
await shot('policy');
await page.getByRole('button', { name: 'Delete' }).first().click();
await page.waitForLoadState('load');

// An exclusive lock of an environment, on and off again.
await page.goto(url + '/sample/_environments/dev');
const lock = page.locator('form[action$="/lock"]');
await lock.getByRole('button', { name: 'One stage at a time' }).click();
await page.waitForLoadState('load');
await shot('environment-locked');
await lock.getByRole('button', { name: 'Remove the lock' }).click();
await page.waitForLoadState('load');

// A name of its own, for when the pages are looked at again.
const title = `The browser was here at ${new Date().toISOString()}`;

// A new work item, through the form as a person fills it in.
await page.goto(url + '/sample/_boards');
await page.getByRole('link', { name: /new/i }).first().click();
await page.waitForLoadState('load');
await page.fill('input[name=title]', title);
await page.locator('main form button.primary').first().click();
await page.waitForLoadState('load');
if (!(await page.locator('main').innerText()).includes(title)) problems.push('the new work item is not shown');
await shot('new-item');

// A card is dragged to another column with the mouse; the server keeps where it lands.
await page.goto(url + '/sample/_boards');
const card = page.locator('article.item', { hasText: title });
const from = await card.boundingBox();
const to = await page.locator('section.column[aria-label="Active"] .cards').boundingBox();
const moved = page.waitForResponse((r) => r.request().method() === 'POST');
await page.mouse.move(from.x + from.width / 2, from.y + from.height - 8);
await page.mouse.down();
for (let i = 1; i <= 10; i++) {
  await page.mouse.move(from.x + from.width / 2 + ((to.x - from.x) * i) / 10, from.y + from.height - 8 + ((to.y + 12 - from.y - from.height + 8) * i) / 10);
}
await page.mouse.move(to.x + to.width / 2, to.y + 20, { steps: 5 });
await page.mouse.move(to.x + to.width / 2, to.y + 24, { steps: 5 });
await page.waitForTimeout(200); // the card's way there is animated
await page.mouse.up();
await moved;
await page.goto(url + '/sample/_boards');
if (await page.locator('section.column[aria-label="Active"] article.item', { hasText: title }).count() !== 1) {
  problems.push('/sample/_boards: the card that was dragged to Active is not there');
}
await shot('board-dragged');

// A run that stops at failures: its tests cannot begin with this variable. Somebody looks at them in a terminal and ends the job.
await page.goto(url + '/sample/_build/queue?definitionId=1');
await page.getByText('Variables for this run').click();
await page.fill('input[name=variable-name-0]', 'GOFLAGS');
await page.fill('input[name=variable-value-0]', '-mod=nonsense');
for (const stage of ['Dev', 'Production']) await page.locator(`input[name=stage][value=${stage}]`).uncheck();
await page.check('input[name=stop]');
await shot('queue-stop-at-failure');
await page.getByRole('button', { name: 'Run', exact: true }).click();
await page.waitForURL(/buildId=/);
await page.getByText('waits at a step that failed').waitFor({ timeout: 300000 });
await shot('stopped');
const stopped = page.url();
await page.getByRole('link', { name: 'Open a terminal' }).click();
await page.getByText('Connected.').waitFor();
await page.keyboard.type('echo "terminal $((40 + 2)) of $BUILD_REPOSITORY_NAME"\n');
await page.locator('.xterm-rows', { hasText: 'terminal 42 of sample' }).waitFor();
await shot('terminal');
await page.keyboard.type('exit\n');
await page.getByText('The terminal is over: the shell ended').waitFor();
await page.goto(stopped);
await page.getByRole('button', { name: 'End the job' }).click();
await page.getByText('Done by hand').waitFor();
if (!(await page.locator('main').innerText()).includes('a terminal of')) problems.push('the page of the run does not say who had a terminal');
await shot('stopped-ended');
// The other job ends by itself, and the run with it: the page follows.
await page.getByRole('button', { name: 'Cancel', exact: true }).waitFor({ state: 'detached', timeout: 300000 });

// The administrator adds a user, who signs in elsewhere, has to choose a password, and sees what the role allows.
await see('users', '/_users', 'admin');
const grace = `grace-${Date.now()}`;
await page.fill('input[name=name]', grace);
await page.getByRole('button', { name: 'Add user' }).click();
await page.waitForLoadState('load');
const given = await page.locator('main [role=status] pre.copy').innerText();
await shot('user-added');
await page.goto(url + '/sample/_settings');
const adding = page.locator('form', { has: page.getByRole('button', { name: 'Add member' }) });
await adding.locator('input[name=user]').fill(grace);
await adding.locator('select[name=role]').selectOption('reader');
await page.getByRole('button', { name: 'Add member' }).click();
await page.waitForLoadState('load');
if (!(await page.locator('main').innerText()).includes(grace)) problems.push('/sample/_settings: grace is no member');
await shot('member-added');

const administrator = page;
const other = await (await browser.newContext({ viewport: { width: 1360, height: 900 } })).newPage();
await signIn(other, url, grace, given);
await other.waitForURL(url + '/profile');
await other.fill('input[name=old]', given);
await other.locator('main').locator('input[name=password]').fill('a-password-of-her-own');
await other.fill('input[name=again]', 'a-password-of-her-own');
await other.getByRole('button', { name: 'Change password' }).click();
await other.waitForURL(/password=changed/);
await other.goto(url + '/sample/_boards');
if (await other.getByRole('link', { name: 'New work item' }).count() !== 0) problems.push('a reader is offered a new work item');
for (const [path, status] of [['/sample', 200], ['/_users', 403], ['/sample/_workitems/new', 403]]) {
  const answer = await other.goto(url + path);
  if (answer.status() !== status) problems.push(`${path}: a reader gets ${answer.status()}, want ${status}`);
}

// Disabled, she is out at once.
await administrator.goto(url + '/_users');
await administrator.locator('tr', { hasText: grace }).getByRole('button', { name: 'Disable' }).click();
await administrator.waitForLoadState('load');
await other.goto(url + '/sample');
if (!(await other.locator('main').innerText()).includes('Sign in')) problems.push('a disabled user is still signed in');

// Small screens: nothing may be cut off.
await page.setViewportSize({ width: 420, height: 900 });
for (const path of ['/', '/sample', '/sample/_build/results?buildId=1', '/sample/_boards', '/sample/_insights', '/sample/_environments/dev', '/_users', '/_pools', '/_upstreams', '/sample/_settings/connections', '/sample/_git/sample/policies', '/sample/_settings/webhooks', '/sample/_build/explain?buildId=1']) {
  await page.goto(url + path, { waitUntil: 'load' });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (wide > 1) problems.push(`${path}: ${wide} pixels too wide on a small screen`);
  await shot('small' + path.replaceAll(/[^a-z]+/g, '-'));
}

await finish(browser, problems, `${number} pages`);
