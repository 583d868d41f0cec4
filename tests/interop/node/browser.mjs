// Chromium opens a page; what its script found out is printed as JSON.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const profile = await mkdtemp(join(tmpdir(), "rosn-chromium-"));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: "/usr/bin/chromium",
  ignoreHTTPSErrors: true,
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking"],
});
try {
  const page = await context.newPage();
  page.on("console", (message) => console.error(message.text()));
  page.on("pageerror", (error) => console.error(error.message));
  await page.goto(process.argv[2]);
  const found = await page.waitForFunction(() => globalThis.found, null, { timeout: 45_000 });
  console.log(JSON.stringify(await found.jsonValue()));
} finally {
  await context.close();
  await rm(profile, { recursive: true, force: true });
}
