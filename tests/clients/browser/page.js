// The page in a browser, as a visitor uses it: node page.js DIST [SCREENSHOTS]
// In each language: make a topic, produce, consume in a group, and see the lag.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { chromium } = require('playwright-core');

const [, , dist, screenshots] = process.argv;
const WAIT_MS = 30_000;
const TYPES = {
  '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.wasm': 'application/wasm',
  '.svg': 'image/svg+xml', '.woff2': 'font/woff2',
};
const VIEWS = [{ width: 1440, height: 900 }, { width: 390, height: 844 }];
const LANGUAGES = ['en', 'ko'];

/** A static host, as any would serve the folder. */
function host() {
  const server = http.createServer((request, response) => {
    const name = path.normalize(decodeURIComponent(new URL(request.url, 'http://host').pathname));
    const file = path.join(dist, name.endsWith('/') ? `${name}index.html` : name);
    fs.readFile(file, (error, content) => {
      response.writeHead(error ? 404 : 200, { 'content-type': TYPES[path.extname(file)] ?? 'text/plain' });
      response.end(error ? '' : content);
    });
  });
  return new Promise((ready) => server.listen(0, '127.0.0.1', () => ready(server)));
}

async function visit(browser, address, language) {
  const page = await browser.newPage({ viewport: VIEWS[0] });
  page.setDefaultTimeout(WAIT_MS);
  const faults = [];
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
  await page.goto(address);
  await page.locator(`header button[lang=${language}]`).click();
  assert.equal(await page.locator(`header button[lang=${language}]`).getAttribute('aria-pressed'), 'true');
  const shown = await page.locator('body').innerText();
  assert.equal(/\p{Script=Hangul}/u.test(shown.replace(/한국어/g, '')), language === 'ko', `the page in ${language}`);

  const input = page.locator('.terminals input').first();
  const log = page.locator('.terminals .log').first();
  const say = async (line) => {
    await input.fill(line);
    await input.press('Enter');
  };
  // The world is up when the terminal has a prompt.
  await page.locator('.terminals .prompt', { hasText: /\S/ }).first().waitFor();
  const interrupt = () => input.press('Control+c');
  const printed = (text) => log.locator('p', { hasText: text }).last().waitFor();
  const server = '--bootstrap-server localhost:9092';

  await say(`kafka-topics.sh --create --topic seats --partitions 3 ${server}`);
  await printed('Created topic seats.');
  await page.locator('.topic', { hasText: 'seats' }).first().waitFor();

  const keyed = '--property parse.key=true --property key.separator=:';
  await say(`kafka-console-producer.sh --topic seats ${keyed} ${server}`);
  for (const line of ['gallery:1', 'balcony:2', 'stalls:3']) await say(line);
  await page.waitForFunction(() => document.querySelectorAll('.cell').length >= 3);
  await interrupt();

  await say(`kafka-console-consumer.sh --topic seats --group readers --from-beginning ${server}`);
  for (const value of ['1', '2', '3']) {
    await log.locator('p.out', { hasText: new RegExp(`^${value}$`) }).first().waitFor();
  }
  // The consumer commits every five seconds, and when it ends.
  const lag = page.locator('.group', { hasText: 'readers' }).locator('.lag-total');
  await interrupt();
  await page.waitForFunction(() => document.querySelector('.group .lag-total')?.textContent.trim() === '0');

  await say(`kafka-console-producer.sh --topic seats ${keyed} ${server}`);
  for (const line of ['gallery:4', 'gallery:5']) await say(line);
  await page.waitForFunction(() => document.querySelector('.group .lag-total')?.textContent.trim() === '2');
  assert.equal((await lag.innerText()).trim(), '2');
  await interrupt();

  for (const view of VIEWS) {
    await page.setViewportSize(view);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(wide <= 0, `${wide} pixels stick out at ${view.width}`);
    if (screenshots) await page.screenshot({ path: path.join(screenshots, `${language}-${view.width}.png`) });
  }
  assert.deepEqual(faults, []);
  await page.close();
  console.log(`passed ${language}`);
}

async function main() {
  const server = await host();
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-background-networking', '--no-first-run'],
  });
  try {
    for (const language of LANGUAGES) {
      await visit(browser, `http://127.0.0.1:${server.address().port}/`, language);
    }
  } catch (error) {
    for (const page of browser.contexts().flatMap((context) => context.pages())) {
      console.error(await page.locator('.terminals .log').allInnerTexts());
      if (screenshots) await page.screenshot({ path: path.join(screenshots, 'failed.png') });
    }
    throw error;
  } finally {
    await browser.close();
    server.close();
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
