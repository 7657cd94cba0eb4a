// The page as a student meets it: makes a topic, writes, reads, sees the lag, and kills a broker; in both languages, on a laptop and a phone.
//
//   node tests/browser/first_page.mjs [DIST] [SCREENSHOTS]
//
// Needs playwright-core (looked for in .tools, or as NODE_PATH says) and /usr/bin/chromium (or CHROMIUM).
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { serve } from "./serve.mjs";

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const DIST = resolve(process.argv[2] ?? join(ROOT, "dist"));
const SHOTS = resolve(process.argv[3] ?? join(ROOT, ".tools/screenshots"));
const LAPTOP = { width: 1440, height: 900 };
const PHONE = { width: 390, height: 844 };
const BROKER = "localhost:9092";

const { chromium } = playwright();

function playwright() {
  const places = [join(ROOT, ".tools/node/"), join(ROOT, ".tools/"), `${process.env.NODE_PATH ?? ROOT}/../`];
  for (const place of places) {
    try {
      return createRequire(place)("playwright-core");
    } catch {
      // The next place.
    }
  }
  throw new Error("playwright-core is not installed: `npm install playwright-core` in .tools");
}

/** One page, and everything that it says went wrong. */
async function open(browser, url, { lang, viewport, theme = "light", touch = false }) {
  const context = await browser.newContext({ viewport, deviceScaleFactor: 1.5, hasTouch: touch });
  const page = await context.newPage();
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("request", (request) => request.url().startsWith(url) || request.url().startsWith("data:") || complaints.push(`leaves the host: ${request.url()}`));
  await page.goto(`${url}?lang=${lang}&theme=${theme}&seed=7`);
  await page.locator(".entry input").first().waitFor({ timeout: 60_000 });
  return { page, complaints };
}

const input = (page) => page.locator(".terminal.active .entry input");
const log = (page) => page.locator(".terminal.active .log");

async function type(page, line) {
  await input(page).fill(line);
  await input(page).press("Enter");
}

async function says(page, text, timeout = 20_000) {
  await log(page).getByText(text).first().waitFor({ state: "attached", timeout });
}

async function writeReadAndLag(page, lang) {
  const [first, second, third] = lang === "ko" ? ["커피 주문", "결제 완료", "회원 가입"] : ["coffee", "payment", "member"];
  const prompt = (await page.locator(".terminal.active .entry .prompt").textContent()).trim();
  const backAtPrompt = () => page.waitForFunction((text) => document.querySelector(".terminal.active .entry .prompt")?.textContent.trim() === text, prompt, { timeout: 20_000 });

  // A button types its command; Enter runs it.
  await page.locator(".steps .types").first().click({ timeout: 2_000 }).catch(() => input(page).fill(
    `kafka-topics.sh --create --bootstrap-server ${BROKER} --replication-factor 1 --partitions 3 --topic exam-topic`));
  assert.match(await input(page).inputValue(), /^kafka-topics\.sh --create .*--topic exam-topic$/);
  await input(page).press("Enter");
  await says(page, "Created topic exam-topic.");
  await backAtPrompt();
  await page.locator(".topic:not(.internal) .row").nth(2).waitFor({ state: "attached" });

  await type(page, `kafka-console-producer.sh --broker-list ${BROKER} --topic exam-topic --property parse.key=true --property key.separator=:`);
  await page.locator(".terminal.active .running").filter({ hasText: "kafka-console-producer" }).waitFor();
  for (const line of [`D:${first}`, `G:${second}`, `M:${third}`, `D:${second}`, `A:${third}`]) await type(page, line);
  await page.waitForFunction(() => document.querySelectorAll(".topic:not(.internal) .cell").length === 5, null, { timeout: 20_000 });
  await input(page).press("Control+c");
  await backAtPrompt();

  await type(page, `kafka-console-consumer.sh --bootstrap-server ${BROKER} --topic exam-topic --from-beginning --group exam-group --max-messages 5`);
  // What was typed is in the log too: only the consumer says this, at its end.
  await says(page, "Processed a total of 5 messages");
  await backAtPrompt();
  const read = await log(page).locator("p").allTextContents();
  for (const text of [first, second, third]) assert.ok(read.includes(text), `${text} was not read: ${read}`);

  // What is written now has been read by nobody: that is the lag.
  await type(page, `kafka-console-producer.sh --broker-list ${BROKER} --topic exam-topic --property parse.key=true --property key.separator=:`);
  await page.locator(".terminal.active .running").filter({ hasText: "kafka-console-producer" }).waitFor();
  for (const line of [`D:${third}`, `D:${first}`, `G:${first}`]) await type(page, line);
  await page.waitForFunction(() => document.querySelectorAll(".topic:not(.internal) .cell").length === 8, null, { timeout: 20_000 });
  await input(page).press("Control+c");
  await backAtPrompt();
  await page.waitForFunction(() => document.querySelector(".lag-total")?.textContent === "3", null, { timeout: 20_000 });
  const lags = await page.locator(".flag .lag text").allTextContents();
  const sum = lags.reduce((sum, text) => sum + Number(text.replace("lag ", "")), 0);
  assert.equal(sum, 3, `brackets: ${lags}`);

  await type(page, `kafka-consumer-groups.sh --bootstrap-server ${BROKER} --describe --group exam-group`);
  await says(page, "CURRENT-OFFSET");
  await backAtPrompt();
}

/** Three brokers; the leader of a replicated topic is killed by its button, another one leads, and the one that was killed comes back. */
async function survivesAKill(page, lang, name) {
  const [kill, start] = lang === "ko" ? ["강제 종료", "시작"] : ["Kill", "Start"];
  const topic = page.locator(".topic").filter({ hasText: "safe-topic" });
  const isr = (text) => topic.locator(".row-name", { hasText: text }).waitFor({ timeout: 30_000 });
  const heads = page.locator(".broker-head");
  const leader = () => topic.locator(".partition > div").evaluateAll((cells) => cells.filter((cell) => cell.matches(":not(.row-name)")).findIndex((cell) => cell.querySelector(".row.leads")));
  const press = async (broker, button) => {
    await heads.nth(broker).getByRole("button", { name: button, exact: true }).click();
    assert.notEqual(await input(page).inputValue(), "", "a button types its command");
    await input(page).press("Enter");
  };
  assert.equal(await heads.count(), 3);
  await type(page, `kafka-topics.sh --create --bootstrap-server ${BROKER} --topic safe-topic --replication-factor 3 --partitions 1`);
  await says(page, "Created topic safe-topic.");
  await isr("ISR 3/3");
  assert.equal(await topic.locator(".row").count(), 3);
  const first = await leader();
  await press(first, kill);
  await isr("ISR 2/3");
  await heads.nth(first).locator(".pill.fault").waitFor();
  await page.waitForFunction(() => document.querySelectorAll(".topic:not(.internal) .row.leads.gone").length === 0, null, { timeout: 30_000 });
  assert.notEqual(await leader(), first);
  await topic.scrollIntoViewIfNeeded();
  await page.screenshot({ path: join(SHOTS, `${name}-${lang}-killed.png`) });
  await press(first, start);
  await isr("ISR 3/3");
  await page.waitForFunction(() => !document.querySelector(".broker-head .pill.fault"), null, { timeout: 30_000 });
  // Whoever stops the clock finds frames on their way, with their names.
  await page.locator(".play").click();
  for (let steps = 0; steps < 200 && (await page.locator(".wire > svg .flight .heading").count()) === 0; steps++) await page.locator(".transport .next").click();
  assert.ok(await page.locator(".wire > svg .flight .heading").count() > 0, "no frame is on its way");
  await page.evaluate(() => document.querySelector(".stage").scrollTo(0, 0));
  await page.screenshot({ path: join(SHOTS, `${name}-${lang}-flights.png`) });
  await page.locator(".play").click();
}

/** Old values of a key vanish from a compacted topic, the others keep their offsets. */
async function compacts(page) {
  const topic = page.locator(".topic:not(.internal)").filter({ hasText: "newest" });
  const offsets = () => topic.locator(".cell .offset").allTextContents();
  await type(page, `kafka-topics.sh --create --bootstrap-server ${BROKER} --topic newest --config cleanup.policy=compact`);
  await says(page, "Created topic newest.");
  await type(page, `kafka-console-producer.sh --broker-list ${BROKER} --topic newest --property parse.key=true --property key.separator=:`);
  await page.locator(".terminal.active .running").filter({ hasText: "kafka-console-producer" }).waitFor();
  for (const line of ["tea:1", "milk:1", "tea:2", "tea:3", "milk:2"]) await type(page, line);
  await topic.locator(".cell").nth(4).waitFor({ state: "attached" });
  assert.deepEqual(await offsets(), ["0", "1", "2", "3", "4"]);
  // A segment closes when a record comes five seconds after its first.
  await page.waitForTimeout(6_000);
  await type(page, "bread:1");
  await page.waitForFunction((expected) => {
    const topic = [...document.querySelectorAll(".topic:not(.internal)")].find((one) => one.textContent.includes("newest"));
    return [...topic.querySelectorAll(".cell .offset")].map((one) => one.textContent).join() === expected;
  }, "3,4,5", { timeout: 20_000 });
  await topic.scrollIntoViewIfNeeded();
  await page.screenshot({ path: join(SHOTS, "compacted.png") });
  await input(page).press("Control+c");
}

async function fits(page, viewport) {
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= viewport.width, `the page is ${width} wide on ${viewport.width}`);
}

async function laptop(browser, url, lang) {
  const { page, complaints } = await open(browser, url, { lang, viewport: LAPTOP });
  assert.equal(await page.locator("html").getAttribute("lang"), lang);
  await page.screenshot({ path: join(SHOTS, `empty-${lang}.png`) });
  await writeReadAndLag(page, lang);
  if (lang === "en") await compacts(page);
  await survivesAKill(page, lang, "laptop");
  await page.locator(".topic:not(.internal) .cell").first().click();
  await page.locator(".side .record dl").waitFor();
  await page.waitForTimeout(400);
  await fits(page, LAPTOP);
  await page.screenshot({ path: join(SHOTS, `laptop-${lang}.png`) });
  await page.locator(".segments.theme button").nth(1).click();
  assert.equal(await page.locator("html").getAttribute("data-theme"), "dark");
  await page.screenshot({ path: join(SHOTS, `laptop-${lang}-dark.png`) });
  assert.deepEqual(complaints, []);
  await page.context().close();
}

async function phone(browser, url, lang) {
  const { page, complaints } = await open(browser, url, { lang, viewport: PHONE, touch: true });
  await page.screenshot({ path: join(SHOTS, `phone-${lang}-steps.png`) });
  await page.locator(".panes button").nth(3).click();
  await writeReadAndLag(page, lang);
  await page.locator(".panes button").nth(1).click();
  await survivesAKill(page, lang, "phone");
  const small = await page.evaluate(() => [...document.querySelectorAll("button:not(:disabled), input")]
    .filter((element) => element.checkVisibility())
    .map((element) => [element.textContent || element.type, element.getBoundingClientRect()])
    .filter(([, box]) => box.height < 40)
    .map(([name, box]) => `${name} ${box.height}`));
  assert.deepEqual(small, [], "targets under 40");
  for (const [index, pane] of ["steps", "cluster", "groups", "terminal"].entries()) {
    await page.locator(".panes button").nth(index).click();
    await page.waitForTimeout(250);
    await fits(page, PHONE);
    const below = await log(page).evaluate((element) => element.scrollHeight - element.scrollTop - element.clientHeight);
    assert.ok(below <= 1, `${pane}: the newest line is ${below} px below what is shown`);
    await page.screenshot({ path: join(SHOTS, `phone-${lang}-${pane}.png`) });
  }
  assert.deepEqual(complaints, []);
  await page.context().close();
}

const server = await serve(DIST);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
});
try {
  await mkdir(SHOTS, { recursive: true });
  for (const lang of ["ko", "en"]) {
    for (const [name, run] of [["laptop", laptop], ["phone", phone]]) {
      const began = performance.now();
      await run(browser, server.url, lang);
      console.log(`ok  ${name} ${lang}  ${Math.round(performance.now() - began)} ms`);
    }
  }
} finally {
  await browser.close();
  server.close();
}
