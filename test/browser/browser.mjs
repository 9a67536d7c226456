// What the stories in Chromium have in common.
import { chromium } from 'playwright-core';
import { mkdirSync } from 'node:fs';

// launch starts the browser.
export function launch() {
  return chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
}

// watch notes in problems what goes wrong in a page by itself: errors in the console, requests that fail, and answers of 400 and above but for the
// status of what is refused on purpose.
export function watch(page, problems, refused) {
  // Browsers write answers of 400 and above to the console, too.
  page.on('console', (m) => { if (m.type() === 'error' && !m.text().includes(`status of ${refused} `)) problems.push(`${page.url()}: console: ${m.text()}`); });
  page.on('pageerror', (e) => problems.push(`${page.url()}: ${e.message}`));
  page.on('response', (r) => { if (r.status() >= 400 && r.status() !== refused) problems.push(`${r.url()}: ${r.status()}`); });
  // What is under way when a page is left, or becomes a download, is given up.
  page.on('requestfailed', (r) => { if (r.failure().errorText !== 'net::ERR_ABORTED') problems.push(`${r.url()}: ${r.failure().errorText}`); });
}

// signIn opens the first page as a user.
export async function signIn(page, url, name, password) {
  await page.goto(`${url}/`);
  await page.fill('input[name=name]', name);
  await page.fill('input[name=password]', password);
  await Promise.all([page.waitForEvent('load'), page.click('main button')]);
}

// photographer makes screenshots in a folder, in the order in which they are asked for, each at the width of a desk and at that of a telephone, and
// notes in problems what is wider than the window.
export function photographer(page, folder, problems) {
  mkdirSync(folder, { recursive: true });
  let number = 0;
  return async function shot(name) {
    number += 1;
    for (const width of [1280, 420]) {
      await page.setViewportSize({ width, height: 900 });
      await page.evaluate(() => window.scrollTo(0, 0)); // the bar stays at the top of the window
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (wide > 1) problems.push(`${page.url()}: ${wide} pixels wider than a window of ${width}`);
      await page.screenshot({ path: `${folder}/${String(number).padStart(2, '0')}-${name}-${width}.png`, fullPage: true });
    }
    await page.setViewportSize({ width: 1280, height: 900 });
    return number;
  };
}

// sayer makes a function that notes in problems what a page does not say.
export function sayer(page, problems) {
  return async function says(what, ...texts) {
    const body = await page.locator('main').innerText();
    for (const text of texts) {
      if (!body.includes(text)) problems.push(`${what}: does not say "${text}"`);
    }
  };
}

// presser makes a function that sends a form and waits for the page that answers.
export function presser(page) {
  return (scope, name) => Promise.all([page.waitForEvent('load'), scope.getByRole('button', { name, exact: true }).click()]);
}

// finish says what went wrong, or how much was looked at.
export async function finish(browser, problems, said) {
  await browser.close();
  if (problems.length > 0) {
    console.error([...new Set(problems)].join('\n'));
    process.exit(1);
  }
  console.log(said);
}
