// Signs in with a real browser, opens every page of the project "sample" and clicks through it. Usage:
//   node pages.mjs URL PASSWORD SCREENSHOT-FOLDER
// Ends with an error when a page answers badly, writes an error to the console, or lacks what it is for.
import { chromium } from 'playwright-core';
import { mkdirSync } from 'node:fs';

const [url, password, folder] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const page = await browser.newPage({ viewport: { width: 1360, height: 900 } });
const problems = [];
page.on('console', (m) => { if (m.type() === 'error') problems.push(`${page.url()}: console: ${m.text()}`); });
page.on('pageerror', (e) => problems.push(`${page.url()}: ${e.message}`));
page.on('response', (r) => { if (r.status() >= 400) problems.push(`${r.url()}: ${r.status()}`); });

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

await page.goto(url + '/');
await page.fill('input[name=name]', 'admin');
await page.fill('input[name=password]', password);
await shot('sign-in');
await page.click('main button');
await page.waitForURL(url + '/');
await shot('projects');

await see('overview', '/sample', 'dev', 'production', 'Latest runs');
await see('repositories', '/sample/_git', 'sample');
await see('repository', '/sample/_git/sample', 'azure-pipelines.yml');
await page.getByRole('link', { name: 'azure-pipelines.yml' }).first().click();
await page.waitForLoadState('load');
await shot('file');
await see('pipelines', '/sample/_build', 'sample');
await see('run', '/sample/_build/results?buildId=1', 'Build', 'Dev', 'Production', 'Unit tests');
await see('images', '/sample/_images', 'web', 'orders');
await see('environments', '/sample/_environments', 'dev', 'production');
await see('environment', '/sample/_environments/dev', 'SHOP_HOST', 'REPLICAS');
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
await see('profile', '/profile', 'Personal access tokens');

// A new work item, through the form as a person fills it in.
await page.goto(url + '/sample/_boards');
await page.getByRole('link', { name: /new/i }).first().click();
await page.waitForLoadState('load');
await page.fill('input[name=title]', 'The browser was here');
await page.locator('main form button.primary').first().click();
await page.waitForLoadState('load');
if (!(await page.locator('main').innerText()).includes('The browser was here')) problems.push('the new work item is not shown');
await shot('new-item');

await browser.close();
if (problems.length > 0) {
  console.error(problems.join('\n'));
  process.exit(1);
}
console.log(`${number} pages`);
