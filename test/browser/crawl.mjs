// Follows every link from the first page on, as an administrator, and looks at each kind of page once. Usage:
//   node crawl.mjs URL PASSWORD SCREENSHOT-FOLDER ROUTES PROJECT...
// ROUTES is a file with the patterns of all pages, a line each; the PROJECTs together have one of everything. Ends with an error when a link leads
// nowhere, when a page writes an error to the console, asks for something that fails, is wider than the window at 1280 or 400 pixels, has no title or heading of
// its own, or breaks a rule of accessibility that axe-core calls serious, the one about contrast in dark colours, too; and when a page of ROUTES is not opened.
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { finish, launch, signIn, watch } from './browser.mjs';

const [url, password, folder, routesFile, ...projects] = process.argv.slice(2);
const [project] = projects;
mkdirSync(folder, { recursive: true });
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

// What answers with something else than a page: it is fetched.
const data = /\/(live|raw|archive|zip|artifact|attachment|lastcommits|socket|log|mirrors)$|\/_live\//;
// To a terminal a link leads as long as a job waits for somebody: pages.mjs opens one.
const elsewhere = ['/{project}/_build/terminal', '/{project}/_build/terminal/socket'];
// Parts of an address that make another page of it, some of them on a closer look alone (EVERY).
const byValue = process.env.EVERY ? ['_a', 'kind', 'view'] : [];
const byPresence = process.env.EVERY ? ['build', 'delete', 'digest', 'new', 'path', 'retention', 's', 'settings', 'text', 'thing'] : ['digest', 'path', 's', 'settings', 'thing'];
const perRoute = 6; // links of one kind that are followed without being looked at, in each project

const routes = readFileSync(routesFile, 'utf8').trim().split('\n').map((pattern) => ({
  pattern,
  seen: elsewhere.includes(pattern),
  fetched: new Map(), // by project, how many of the kind were followed
  matches: new RegExp(`^${pattern.replace(/[.]/g, '\\$&').replace(/\{[^}]+\}/g, '[^/]+').replace('*', '.+')}$`),
})).sort((a, b) => weight(a.pattern) - weight(b.pattern));
function weight(pattern) { return (pattern.match(/[{*]/g) || []).length; }
const fetches = [];
const from = new Map(); // by link, the page on which it was found first
const known = new Set(); // paths
const kinds = new Set();
const queue = [];
let number = 0;
let others = 0;
function follow(route, path) {
  const of = path.split(/[/?]/)[1];
  route.fetched.set(of, (route.fetched.get(of) || 0) + 1);
  if (route.fetched.get(of) <= (data.test(new URL(url + path).pathname) ? 1 : perRoute)) fetches.push(path);
}
const routeOf = (path) => routes.find((route) => route.matches.test(path));

const scheme = process.env.SCHEME || 'light';
const other = scheme === 'light' ? 'dark' : 'light'; // in which contrast alone is looked at
const browser = await launch();
const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, bypassCSP: true, colorScheme: scheme }); // the pages' policy keeps axe out
const page = await context.newPage();
const problems = [];
watch(page, problems);
page.on('response', (r) => { if (r.status() >= 400) problems.push(`${r.url()}: linked from ${from.get(r.url()) || page.url()}`); });
page.on('dialog', (d) => d.accept());

await page.goto(`${url}/signin`);
await look('signin');
routeOf('/signin').seen = true;
await signIn(page, url, 'admin', password);

// One of everything that the stories before have not made.
const made = `crawl-${Date.now()}`;
const send = async (path, form) => {
  const answer = await context.request.post(url + path, { form });
  if (!answer.ok()) problems.push(`POST ${path}: ${answer.status()}: ${(await answer.text()).replace(/<[^>]+>/g, ' ').replace(/\s+/g, ' ').slice(-300)}`);
  return answer.url();
};
await send(`/${project}/_git/${project}/forks`, { name: made, project });
await send(`/${project}/_library`, { group: made });
await send('/_pools', { name: made, machines: 'yes', create: 'yes' });
const hook = await send(`/${project}/_settings/hooks`, { name: made, url: 'https://203.0.113.7/', kinds: 'repos.pushed', format: 'event' });
await send(hook.slice(url.length), { do: 'test' });
await page.goto(`${url}/_pools`);
await page.locator(`form[action="/_pools/${made}/machines"] button`, { hasText: 'Register a machine' }).evaluate((button) => button.click());
await page.getByLabel('Registration token').waitFor();
await look('registration');

offer('/');
offer(`/${project}/_build/logs?buildId=1&text=test`); // a form leads there
while (queue.length + fetches.length > 0) {
  if (queue.length === 0) {
    await fetched(fetches.shift());
    continue;
  }
  const { path, key } = queue.shift();
  await page.goto(url + path, { waitUntil: 'load' });
  await look(key);
  const here = page.url();
  for (const link of await page.evaluate(() => [...document.querySelectorAll('a[href], area[href]')].map((a) => new URL(a.getAttribute('href'), document.baseURI).href))) {
    if (!link.startsWith(`${url}/`)) continue;
    const to = link.slice(url.length).replace(/#.*/, '');
    if (!from.has(url + to)) from.set(url + to, here);
    offer(to);
  }
}

// offer queues a page that is the first of its kind, and fetches some of the others.
function offer(path) {
  if (known.has(path)) return;
  known.add(path);
  const address = new URL(url + path);
  const route = routeOf(decodeURI(address.pathname));
  if (!route) {
    if (!address.pathname.startsWith('/static/') && !address.pathname.startsWith('/_apis/')) fetches.push(path);
    return;
  }
  if (route.pattern.startsWith('/{project}') && !projects.includes(decodeURI(path).split(/[/?]/)[1])) { // another project's, which is not looked at
    follow(route, path);
    return;
  }
  const q = address.searchParams;
  const key = [route.pattern, q.has('path') ? (q.get('version') || '').slice(0, 2) + /\.\w+$/.test(q.get('path')) : '', ...byValue.map((name) => q.get(name) || ''), ...byPresence.map((name) => q.has(name))].join(' ');
  if (data.test(address.pathname) || q.has('download') || kinds.has(key)) {
    follow(route, path);
    route.seen = true;
    return;
  }
  kinds.add(key);
  route.seen = true;
  queue.push({ path, key });
}

// look checks the page that is open.
async function look(name) {
  number += 1;
  const where = page.url().slice(url.length);
  if (await page.title() === '' || /^( ·|Slipway$)/.test(await page.title())) problems.push(`${where}: has no title of its own`);
  const headings = await page.locator('main h1:not(.prose h1)').count(); // besides those of texts that people wrote
  if (headings !== 1) problems.push(`${where}: has ${headings} headings of the first level`);
  const broken = await page.evaluate(() => [...document.images].filter((image) => image.complete && image.naturalWidth === 0).map((image) => image.src));
  for (const image of broken) problems.push(`${where}: the image ${image} is not shown`);
  await page.evaluate(axe);
  const found = await page.evaluate(() => axe.run({ exclude: [['.source tr:nth-child(n+12)'], ['.log .line:nth-child(n+12)']] }, { // a long text is made of the same few things
    resultTypes: ['violations'], rules: { 'scrollable-region-focusable': { enabled: false } } })); // Chromium makes these focusable by itself
  await page.emulateMedia({ colorScheme: other });
  const contrast = await page.evaluate(() => axe.run({ exclude: [['.source tr:nth-child(n+12)'], ['.log .line:nth-child(n+12)']] }, { resultTypes: ['violations'], runOnly: ['color-contrast'] }));
  await page.emulateMedia({ colorScheme: scheme });
  for (const v of contrast.violations) problems.push(`${where} in ${other} colours: ${v.help}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160)).join(' | ')}`);
  for (const v of found.violations.filter((one) => ['serious', 'critical'].includes(one.impact))) {
    problems.push(`${where}: ${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160)).join(' | ')}`);
  }
  for (const width of [1280, 400]) {
    await page.setViewportSize({ width, height: 900 });
    const wide = await page.evaluate(() => {
      const over = document.documentElement.scrollWidth - document.documentElement.clientWidth;
      if (over <= 1) return '';
      const widest = [...document.querySelectorAll('main *')].find((e) => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1 && e.children.length === 0);
      return `${over} pixels too wide${widest ? `: ${widest.outerHTML.slice(0, 120)}` : ''}`;
    });
    if (wide) problems.push(`${where} at ${width}: ${wide}`);
    if (process.env.SHOTS) await page.screenshot({ path: `${folder}/${String(number).padStart(3, '0')}-${width}-${name.replaceAll(/[^a-z]+/gi, '-').slice(0, 80)}.png`, fullPage: true });
  }
  await page.setViewportSize({ width: 1280, height: 900 });
}

// fetched follows a link without looking at what is there; what is linked from it may be the first of its kind.
async function fetched(path) {
  others += 1;
  const answer = await context.request.get(url + path);
  if (answer.status() >= 400) problems.push(`${path}: ${answer.status()}, linked from ${from.get(url + path)}`);
  if (!(answer.headers()['content-type'] || '').startsWith('text/html')) return;
  for (const [, href] of (await answer.text()).matchAll(/ href="([^"]*)"/g)) {
    const link = new URL(href.replaceAll('&amp;', '&').replaceAll('&#34;', '"').replaceAll('&#39;', "'"), url + path).href;
    if (!link.startsWith(`${url}/`)) continue;
    const to = link.slice(url.length).replace(/#.*/, '');
    if (!from.has(url + to)) from.set(url + to, url + path);
    offer(to);
  }
}

for (const route of routes) {
  if (!route.seen && !data.test(route.pattern)) problems.push(`${route.pattern}: no link leads to this page`);
}

await finish(browser, problems, `${number} pages of ${routes.length} kinds, ${others} other links`);
