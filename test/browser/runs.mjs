// Leads runs with a real browser: the form with every kind of parameter, stages that are left out, started by hand and retried, jobs
// that run again, an exclusive lock, a cancel, and what the pages say of why something did not run. Usage:
//   node runs.mjs URL PASSWORD SCREENSHOT-FOLDER PROJECT DEFINITION
// The project's pipeline is that of test/e2e/led_test.go. Ends with an error when a page answers badly, writes an error to the console, is wider
// than a narrow window, or lacks what it is for.
import { finish, launch, photographer, sayer, signIn, watch } from './browser.mjs';

const [url, password, folder, project, definition] = process.argv.slice(2);
const browser = await launch();
const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
page.setDefaultTimeout(60_000);
const problems = [];
watch(page, problems);
const shot = photographer(page, folder, problems);
const says = sayer(page, problems);

const stage = (name) => page.locator('.stages .stage', { has: page.locator('strong', { hasText: name }) });
const job = (name) => page.locator('.job', { has: page.locator('strong', { hasText: name }) });
const become = (part, state) => part.locator('.linked').first().getByText(state, { exact: true }).waitFor();

await signIn(page, url, 'admin', password);

// The form: a parameter of each kind, a variable, and a stage that is left out.
await page.goto(`${url}/${project}/_build`);
await page.getByRole('link', { name: `Run ${project}` }).click();
await page.waitForLoadState('load');
await page.fill('input[name="parameter.greeting"]', 'good morning');
await page.selectOption('select[name="parameter.region"]', 'east');
await page.fill('input[name="parameter.count"]', '7');
await page.check('input[type=checkbox][name="parameter.loud"]');
await page.fill('textarea[name="parameter.settings"]', 'depth: [1, 2]');
await page.fill('textarea[name="parameter.extra"]', '- bash: echo "a step of the form"\n  displayName: From the form\n  condition: eq(variables.colour, \'black\')');
await page.getByText('Variables for this run').click();
await page.fill('input[name=variable-name-0]', 'colour');
await page.fill('input[name=variable-value-0]', 'green');
await page.locator('input[name=stage][value=Late]').uncheck();
await shot('form');
await page.getByRole('button', { name: 'Run', exact: true }).click();
await page.waitForURL(/buildId=/);
const led = page.url();
await become(stage('Late'), 'skipped');
await become(stage('Build'), 'failed');
await become(job('Fails at first'), 'failed');
await shot('failed');
await job('Says').getByRole('link', { name: 'Say it' }).click();
await page.waitForLoadState('load');
await page.locator('pre.log', { hasText: 'good morning east 7 true green 2' }).waitFor();
await shot('log');

// Why: what was left out, what a condition was about, and what a step was.
await page.goto(led);
await page.getByRole('link', { name: 'Why', exact: true }).click();
await page.waitForLoadState('load');
await says('why', 'the stage was left out when the run was queued', "variables.colour is 'green'", 'flaky is Failed', 'all of which would be decided so today');
await shot('why');

// The failed jobs of the stage run again, and what depends on them; then the stage behind it waits for a person.
await page.goto(led);
await stage('Build').getByRole('button', { name: 'Retry', exact: true }).click();
await become(stage('Build'), 'succeeded');
await job('Fails at first').getByText('Attempt 1').waitFor();
if (await job('Says').getByText('Attempt 1').count() !== 0) problems.push('a job that had succeeded ran again');
await stage('By hand').getByText('Waits until somebody starts it').waitFor();
await shot('waits-for-a-person');
await stage('By hand').getByRole('button', { name: 'Start' }).click();
await become(stage('By hand'), 'succeeded');
await shot('succeeded');

// One job alone runs again, with those that depend on it.
await job('Fails at first').getByRole('button', { name: 'Run again' }).click();
await become(stage('Build'), 'succeeded');
await job('After it').getByText('Attempt 2').waitFor();
if (await job('Says').getByText('Attempt 1').count() !== 0) problems.push('a job that depends on nothing ran again with another');

// An exclusive lock: of two runs that wait for one another's stage, the later one overtakes; then a cancel.
await page.goto(`${url}/${project}/_environments/guarded`);
await page.locator('form[action$="/lock"]').getByRole('button', { name: 'One stage at a time' }).click();
await page.waitForLoadState('load');
const runs = [];
for (let n = 0; n < 3; n++) {
  await page.goto(`${url}/${project}/_build/queue?definitionId=${definition}`);
  for (const name of ['Build', 'Hand', 'Late']) await page.locator(`input[name=stage][value=${name}]`).uncheck();
  await page.getByText('Variables for this run').click();
  await page.fill('input[name=variable-name-0]', 'wait');
  await page.fill('input[name=variable-value-0]', '600');
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await page.waitForURL(/buildId=/);
  runs.push(page.url());
  if (n === 0) await become(stage('Guarded'), 'running');
  else await stage('Guarded').getByText('lock', { exact: false }).first().waitFor();
}
await shot('waits-for-the-lock');
await page.goto(runs[1]);
await become(stage('Guarded'), 'canceled');
await says('a stage that was overtaken', 'waits for the exclusive lock too');
await shot('overtaken');
await page.goto(`${url}/${project}/_environments/guarded`);
await shot('environment-with-a-lock');
await page.goto(runs[0]);
await page.getByRole('button', { name: 'Cancel', exact: true }).click();
await become(stage('Guarded'), 'canceled');
await says('a canceled run', 'Canceled by', 'admin');
await shot('canceled');
await page.goto(runs[2]);
await become(stage('Guarded'), 'running');
await page.getByRole('button', { name: 'Cancel', exact: true }).click();
await become(stage('Guarded'), 'canceled');

await finish(browser, problems, `${await shot('guarded')} pages`);
