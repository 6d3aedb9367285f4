// Walks through the dashboard in a real browser, a step for each line that it is told, and answers each with one line
// of JSON. What the browser complains about is part of the answer.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";

const [, , packages, chromium, base] = process.argv;
const { chromium: engine } = createRequire(`${packages}/`)("playwright-core");
const browser = await engine.launch({ executablePath: chromium, args: ["--no-sandbox"] });

let complaints = [];
let page;

async function open(width, scheme) {
  const context = await browser.newContext({ colorScheme: scheme, viewport: { width, height: 900 } });
  page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.on("console", (line) => { if (["error", "warning"].includes(line.type())) complaints.push(line.text()); });
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("dialog", (dialog) => dialog.accept());
}

// What must not be in any page: a script of the page itself, a mark of what was planted, or more than it is wide.
const LOOK = () => ({
  title: document.title,
  planted: document.querySelectorAll("[data-planted]").length,
  scripts: [...document.scripts].filter((script) => !script.src.startsWith(location.origin)).length,
  wide: document.documentElement.scrollWidth > document.documentElement.clientWidth + 1,
  ran: Boolean(window.planted),
  text: document.getElementById("main")?.innerText ?? "",
});

const STEPS = {
  async log_in({ token, width = 1280, scheme = "light" }) {
    await open(width, scheme);
    await page.goto(`${base}/login#${token}`);
    await page.waitForURL(`${base}/`);
  },
  // Logs in and opens no page.
  async get_in({ token, width = 1280, scheme = "light" }) {
    await open(width, scheme);
    const answer = await page.request.post(`${base}/login`, { form: { token }, headers: { origin: base }, maxRedirects: 0 });
    return answer.status();
  },
  async go({ path }) { await page.goto(base + path); },
  async links() { return page.locator("nav.menu a").evaluateAll((links) => links.map((link) => link.getAttribute("href"))); },
  async press({ within, button, fields = {} }) {
    const place = page.locator(within).first();
    const form = place.locator("form", { has: page.getByRole("button", { name: button, exact: true }) }).first();
    for (const [name, value] of Object.entries(fields)) {
      const field = form.locator(`[name=${name}]`);
      if (await field.evaluate((one) => one.matches("select"))) await field.selectOption(value);
      else await field.fill(value);
    }
    await Promise.all([page.waitForNavigation(), form.getByRole("button", { name: button, exact: true }).click()]);
  },
  // Opens what is folded.
  async unfold({ what }) { await page.locator(`${what} > summary`).click(); },
  // Waits until nothing is being looked at that the page lacks.
  async whole() { await page.waitForFunction(() => document.getElementById("main")?.dataset.live !== "soon"); },
  // Waits until the page shows it without being loaded again.
  async see({ text }) { await page.locator("#main", { hasText: text }).waitFor(); },
  // How many of these can be seen, and how wide they are.
  async drawn({ what }) {
    return page.locator(what).evaluateAll((all) => all.map((one) => Math.round(one.getBoundingClientRect().width)));
  },
  // Where the keyboard is once the page was drawn again, having been here.
  async keeps({ what }) {
    await page.locator(what).focus();
    await page.evaluate(() => { document.getElementById("main").firstElementChild.marked = true; });
    await page.waitForFunction(() => !document.getElementById("main").firstElementChild.marked);
    return page.evaluate(() => document.activeElement.parentElement.id);
  },
  async keyboard() {
    await page.bringToFront();
    await page.keyboard.press("Tab");
    return page.evaluate(() => `${document.activeElement.tagName} ${document.activeElement.className}`);
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { step, ...args } = JSON.parse(line);
  complaints = [];
  try {
    const found = await STEPS[step](args);
    const look = await page.evaluate(LOOK);
    console.log(JSON.stringify({ found, look, path: new URL(page.url()).pathname, complaints }));
  } catch (error) {
    const look = await page?.evaluate(LOOK).catch(() => null);
    console.log(JSON.stringify({ error: String(error), look, complaints }));
  }
}
await browser.close();
