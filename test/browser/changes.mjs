// Somebody reads a pull request of many files in a real browser. Usage:
//   node changes.mjs URL PASSWORD SCREENSHOT-FOLDER PULL-REQUEST FILES [USER]
// PULL-REQUEST is the address of one that adds FILES files of 40 lines each below many/. Ends with an error when a file is not listed, when lines are
// there before the reader is, or when they do not come.
import { mkdirSync } from 'node:fs';
import { finish, launch, presser, signIn, watch } from './browser.mjs';

const [url, password, folder, pull, count, user = 'admin'] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const browser = await launch();
const problems = [];
const context = await browser.newContext({ viewport: { width: 1360, height: 900 } });
const page = await context.newPage();
watch(page, problems);
const press = presser(page);
await signIn(page, url, user, password);

const files = pull + '?_a=files';
const check = (holds, what) => { if (!holds) problems.push(`${page.url()}: ${what}`); };
const section = (of, name) => of.locator('section.change', { has: of.locator('summary .filename', { hasText: name }) });
const seen = (locator) => locator.evaluate((e) => { const box = e.getBoundingClientRect(); return box.top >= 0 && box.bottom <= window.innerHeight; });

// All files are listed at once; the lines of the last one come when the reader gets there, and nothing in between was fetched.
await page.goto(files);
check(await page.locator('.filetree li[data-path]').count() === Number(count), `not all ${count} files are listed`);
const last = section(page, 'many/09/199.txt');
check(await last.locator('tr').count() === 0, 'the lines of the last file are there before the reader is');
await page.screenshot({ path: `${folder}/1-files.png` });
await last.scrollIntoViewIfNeeded();
await last.locator('tr.added').nth(39).waitFor();
check(await section(page, 'many/05/100.txt').locator('tr').count() === 0, 'files that nobody has looked at were fetched');
await page.screenshot({ path: `${folder}/2-last.png` });

// A click on a number names the line in the address, and brings the form.
const middle = section(page, 'many/05/100.txt');
await page.locator('.filetree a', { hasText: '100.txt' }).click();
await middle.locator('tr.added td.line a').nth(24).click();
await page.locator('tr.comments textarea[name=text]').fill('Why this line?');
const line = new URL(page.url()).hash;
check(/^#file-[0-9a-f]+-R25$/.test(line), `the address does not name line 25: ${line}`);
await press(page, 'Comment');
check(await middle.locator('article.thread', { hasText: 'Why this line?' }).count() === 1, 'the comment is not below its line');
check(await middle.locator('tr').count() > 40, 'the lines of a file with a comment are not there at once');

// The address of a line of a file that is not here leads to it, for somebody who comes anew.
const far = line.replace(/^#file-[0-9a-f]+/, await page.locator('.filetree a', { hasText: '150.txt' }).getAttribute('href'));
const reader = await context.newPage();
await reader.goto(files + far);
const named = reader.locator(`td${far}`);
await named.waitFor();
await reader.locator('tr.chosen', { has: reader.locator(`td${far}`) }).waitFor();
check(await seen(named), 'the line that the address names is out of sight');
await reader.screenshot({ path: `${folder}/3-line.png` });
await reader.close();

// What is marked as viewed is folded, and its lines come when it is opened.
const viewed = section(page, 'many/07/140.txt');
await press(viewed, 'Mark as viewed');
check(await page.locator('.filetree li.seen').count() === 1, 'the list does not say what was viewed');
check(await viewed.locator('details[open]').count() === 0, 'what was viewed is not folded');
await viewed.locator('summary').click();
await viewed.locator('tr.added').nth(39).waitFor();
check(await viewed.getByRole('button', { name: '✓ Viewed' }).count() === 1, 'the mark is gone with the lines');
await page.screenshot({ path: `${folder}/4-viewed.png` });

// Without scripts each file's link brings the page with its lines.
const plain = await (await browser.newContext({ viewport: { width: 1360, height: 900 }, javaScriptEnabled: false, storageState: await context.storageState() })).newPage();
await plain.goto(files);
const wanted = section(plain, 'many/09/198.txt');
check(await wanted.locator('tr').count() === 0, 'without scripts all lines are there at once');
await Promise.all([plain.waitForNavigation({ waitUntil: 'load' }), wanted.getByRole('link', { name: 'Show its lines' }).click()]);
check(await wanted.locator('tr.added').count() === 40, 'without scripts the link brings no lines');
check(await plain.locator('.filetree li[data-path]').count() === Number(count), 'without scripts the other files are gone');

await finish(browser, problems, `${count} files`);
