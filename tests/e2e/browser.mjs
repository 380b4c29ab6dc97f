// Drives a real Chromium through the interface; one exported scenario a run: `node browser.mjs SCENARIO`.
// LWB_E2E_URL is the server, LWB_E2E_SHOTS where screenshots go, CHROME the browser. Any failure exits with 1.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const require = createRequire(new URL("../../ui/package.json", import.meta.url));
const { chromium } = require("playwright-core");
const AXE = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const { LWB_E2E_URL: BASE, LWB_E2E_SHOTS: SHOTS, CHROME } = process.env;
const SIZES = [
  [1440, 900],
  [1024, 768],
];
// Rows with an entry in them; those still on their way have no link.
const ROWS = "[role=row]:has(a)";

const api = async (path) => (await fetch(BASE + path)).json();

/** Entries as the server lists them: what the pages are held against. */
const entries = async (query = "") => (await api(`/api/lora/search?limit=500${query}`)).results;

const scenarios = {
  /** The library lists what the server has; filters and sorting stand in the address; rows in sight only. */
  async library(page) {
    const { total } = await api("/api/lora/search?limit=1");
    await page.goto(`${BASE}/`);
    await page.locator(ROWS).first().waitFor();
    assert.match(await page.locator("[role=status]").first().innerText(), new RegExp(`${total.toLocaleString("en")} LoRAs?$`));
    assert.ok((await page.locator(ROWS).count()) <= 60, "rows out of sight are in the page");

    const [facet] = (await api("/api/lora/search?limit=1&facets=1")).facets.base;
    await page.getByRole("complementary").getByRole("button", { name: facet.label }).first().click();
    await page.waitForURL(`**/?base=${facet.value}`);
    await expectStatus(page, facet.count);

    await page.getByRole("columnheader", { name: "Size" }).getByRole("button").click();
    await page.waitForURL("**sort=size*");
    const [smallest] = await entries(`&base=${facet.value}&sort=size`);
    await page.locator(ROWS).first().getByText(smallest.stable_id).waitFor();
    await page.reload();
    await page.locator(ROWS).first().getByText(smallest.stable_id).waitFor();
  },

  /** Typing searches, literally, without losing the focus; `/` finds the field; the way back is offered. */
  async search(page) {
    const [{ stable_id: id }] = await entries();
    await page.goto(`${BASE}/`);
    await page.locator(ROWS).first().waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type(id, { delay: 15 });
    await expectStatus(page, (await api(`/api/lora/search?search=${id}`)).total);
    assert.equal(await page.evaluate(() => document.activeElement.type), "search");
    assert.ok(page.url().endsWith(`?q=${id}`), page.url());

    await page.getByRole("searchbox").fill("100%_nothing");
    await page.getByRole("heading", { name: "Nothing matches" }).waitFor();
    await page.getByRole("button", { name: "Clear search and filters" }).click();
    await page.locator(ROWS).first().waitFor();
  },

  /** Arrows move, Enter opens, arrows step through the list, Escape comes back to the same row. */
  async keyboard(page) {
    const all = await entries();
    const { total } = await api("/api/lora/search?limit=1");
    await page.goto(`${BASE}/`);
    await page.locator(ROWS).first().waitFor();
    await page.getByRole("searchbox").focus();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.waitForURL(`**/lora/${all[2].stable_id}?at=2`);
    await page.getByText(`3 of ${total.toLocaleString("en")}`).waitFor();
    await page.locator("button:not([disabled])", { hasText: "Next" }).waitFor();
    await page.keyboard.press("ArrowRight");
    await page.waitForURL(`**/lora/${all[3].stable_id}?at=3`);
    await page.keyboard.press("Escape");
    await page.locator("[role=row][data-active]").getByText(all[3].stable_id).waitFor();
  },

  /** Keys and boxes select over searches; the bar copies ids and leads to the comparison; columns are remembered. */
  async selection(page) {
    const all = await entries();
    await page.goto(`${BASE}/`);
    await page.locator(ROWS).first().waitFor();
    assert.ok((await page.locator("[role=row] svg path").count()) > 0, "no row has its profile");
    await page.getByRole("grid").focus();
    await page.keyboard.press("x");
    const bar = page.getByRole("region", { name: "Selection" });
    await bar.getByText("Compare takes 2 to 6").waitFor();
    await page.keyboard.press("Shift+ArrowDown");
    await page.getByRole("checkbox", { name: `Select ${all[3].stable_id}` }).click();
    assert.equal(await page.locator("[role=row][aria-selected=true]").count(), 3);
    const ids = [0, 1, 3].map((place) => all[place].stable_id).join(",");
    assert.equal(await bar.getByRole("link", { name: "Compare" }).getAttribute("href"), `/compare?ids=${ids}`);
    await page.keyboard.press("End");
    await page.locator("[role=row][data-active]").getByText(all.at(-1).stable_id).waitFor();
    assert.deepEqual(await axe(page), []);
    await page.screenshot({ path: join(SHOTS, "library-selection.png") });
    await page.keyboard.press("Escape");
    await bar.waitFor({ state: "detached" });

    await page.getByRole("button", { name: "Columns" }).click();
    await page.getByRole("checkbox", { name: "Role" }).click();
    await page.getByRole("button", { name: "Move Size left" }).click();
    assert.deepEqual(await axe(page), []);
    await page.screenshot({ path: join(SHOTS, "library-columns.png") });
    await page.reload();
    await page.locator(ROWS).first().waitFor();
    const heads = await page.getByRole("columnheader").allInnerTexts();
    assert.ok(heads.includes("Role") && heads.indexOf("Size") < heads.indexOf("Rank"), heads.join());
    await page.getByRole("columnheader", { name: "Role" }).getByRole("button").click();
    await page.waitForURL("**sort=role");
    const [first] = await entries("&sort=role");
    await page.locator(ROWS).first().getByText(first.stable_id).waitFor();
  },

  /** A measured entry: as many bars as blocks, readout by pointer and keyboard, table, and a drawing to keep. */
  async lora(page) {
    const entry = (await entries()).find((row) => row.has_block_weights && row.block_count > 20);
    await page.goto(`${BASE}/?q=${entry.stable_id}`);
    await page.getByRole("link", { name: entry.filename.replace(".safetensors", "") }).first().click();
    const bars = page.locator("[data-block]");
    await bars.first().waitFor();
    assert.equal(await bars.count(), entry.block_count);

    const { blocks } = await api(`/api/lora/${entry.stable_id}/blocks`);
    const present = blocks.filter((block) => block.present).length;
    await page.getByText(`${present} of ${entry.block_count} blocks`).waitFor();
    const third = blocks.filter((block) => block.present)[2];
    await page.locator(`[data-block="${third.block_index}"]`).hover();
    await page.locator("figure > p").getByText(third.weight.toFixed(3)).waitFor();

    await page.locator('[data-block="0"]').focus();
    await page.keyboard.press("ArrowRight");
    const name = await page.evaluate(() => document.activeElement.getAttribute("aria-label"));
    assert.ok(name.startsWith(`${blocks[1].label}, `), name);

    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Save SVG" }).click()]);
    assert.equal(download.suggestedFilename(), `${entry.stable_id}-blocks.svg`);
    const drawing = readFileSync(await download.path(), "utf8");
    assert.ok(!/class=|var\(|style=/.test(drawing), "the drawing needs the page's styles");
    assert.ok(drawing.includes(blocks[0].label));

    await page.getByRole("button", { name: "Read as a table" }).click();
    assert.equal(await page.locator("[data-block-row]").count(), entry.block_count);
  },

  /** One entry of every layout in the library shows that layout's blocks, the unmeasured ones with their reason. */
  async every_layout(page) {
    const one = new Map((await entries()).filter((row) => row.block_layout).map((row) => [row.block_layout, row]));
    assert.ok(one.size >= 4, `only ${one.size} layouts in the library`);
    for (const [layout, row] of one) {
      const { block_count, groups } = await api(`/api/layouts/${layout}`);
      await page.goto(`${BASE}/lora/${row.stable_id}`);
      await page.locator("[data-block]").first().waitFor();
      assert.equal(await page.locator("[data-block]").count(), block_count, layout);
      const fits = await page.evaluate(() => {
        const svg = document.querySelector("svg[role=group]").getBoundingClientRect();
        const edges = [...document.querySelectorAll("[data-block] rect")].map((bar) => bar.getBoundingClientRect());
        return edges.every((edge) => edge.left >= svg.left - 4 && edge.right <= svg.right + 4);
      });
      assert.ok(fits, `${layout} with ${groups.length} groups does not fit its chart`);
      if (row.fallback) {
        await page.getByRole("heading", { name: "Not measured" }).waitFor();
        assert.equal(await page.locator('[data-kind="measured"]').count(), 0);
      }
    }
  },

  /** Nothing that a file says becomes markup. */
  async inert(page) {
    for (const row of await entries("&state=any")) {
      const detail = await api(`/api/lora/${row.stable_id}`);
      if (!/[<>]/.test(JSON.stringify([detail.metadata, detail.summary, detail.filename]))) continue;
      await page.goto(`${BASE}/lora/${row.stable_id}`);
      await page.locator("article").waitFor();
      assert.equal(await page.locator("article :is(script, img, iframe, object, form)").count(), 0, row.stable_id);
    }
    // A made-up address is text too.
    await page.goto(`${BASE}/lora/${encodeURIComponent("<img src=x>")}`);
    await page.locator("main").waitFor();
    assert.equal(await page.locator("main img").count(), 0);
  },

  /** Reindexing shows its end; errors are listed with their reasons. */
  async indexing(page) {
    await page.goto(`${BASE}/indexing`);
    const before = (await api("/api/lora/index_status")).last_scan;
    await page.getByRole("button", { name: "Reindex" }).click();
    await until(async () => {
      const status = await api("/api/lora/index_status");
      return !status.indexing && status.last_scan !== before;
    });
    await page.getByRole("button", { name: "Reindex" }).waitFor();
    await page.getByRole("region", { name: "The last run" }).waitFor();
    const { errors } = await api("/api/lora/index_status");
    for (const { path } of errors.slice(0, 5)) await page.getByText(path).first().waitFor();
  },

  /** A profile is made by dragging and by keys, saved, found again after a reload, guarded while changed, deleted. */
  async profiles(page) {
    const entry = (await entries()).findLast((row) => row.has_block_weights && row.block_count > 8);
    const saved = async () => (await api(`/api/lora/${entry.stable_id}/profiles`)).profiles;
    const bar = (index) => page.locator(`[data-multiplier="${index}"]`);
    const value = async (index) => Number(await bar(index).getAttribute("aria-valuenow"));
    const button = (name) => page.getByRole("button", { name, exact: true });
    await page.goto(`${BASE}/lora/${entry.stable_id}`);
    await button("New profile").click();
    assert.equal(await page.locator("[data-multiplier]").count(), entry.block_count);
    assert.equal(await value(3), 1);

    await bar(3).scrollIntoViewIfNeeded();
    const box = await bar(3).locator("rect").first().boundingBox();
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width / 2, box.y + box.height * 0.75, { steps: 4 });
    await page.mouse.up();
    assert.ok((await value(3)) > 0 && (await value(3)) < 0.6, `dragged to ${await value(3)}`);
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("Shift+ArrowDown");
    assert.equal(await value(4), 0.75);

    await page.getByRole("textbox", { name: "Name", exact: true }).fill("by hand");
    await page.getByRole("link", { name: "Layouts" }).click();
    await button("Keep editing").click();
    await button("Save").click();
    await page.getByText("1 saved").waitFor();
    const [{ block_weights: kept }] = await saved();
    assert.equal(kept[4], 0.75);

    await page.reload();
    await button("by hand").click();
    await bar(3).waitFor();
    assert.equal(await value(3), kept[3]);
    await button("Delete by hand").click();
    await page.getByRole("group", { name: /for good/ }).getByRole("button", { name: "Delete by hand" }).click();
    await page.getByText("0 saved").waitFor();
    assert.deepEqual(await saved(), []);
  },

  /** The registry, complete. */
  async layouts(page) {
    const { layouts } = await api("/api/layouts");
    await page.goto(`${BASE}/layouts`);
    const current = layouts.filter((layout) => !layout.legacy);
    await page.getByText(current[0].id, { exact: true }).waitFor();
    assert.equal(await page.locator("main li:has(h2)").count(), current.length);
    await page.getByRole("searchbox").fill(current[0].id);
    await until(async () => (await page.locator("main li:has(h2)").count()) < current.length || current.length === 1);
  },

  /** Single blocks beside all blocks of one model; the rest says why not; same numbers in chart, table and server. */
  async compare(page) {
    const rows = (await entries()).filter((row) => row.has_block_weights);
    const partOf = new Map((await api("/api/layouts")).layouts.map(({ id, part_of }) => [id, part_of]));
    const part = rows.find((row) => rows.some(({ block_layout }) => block_layout === partOf.get(row.block_layout)));
    const whole = rows.find((row) => row.block_layout === partOf.get(part.block_layout));
    const other = rows.find((one) => one.architecture !== whole.architecture);
    await page.goto(`${BASE}/lora/${whole.stable_id}`);
    await page.getByRole("link", { name: "Compare with…" }).click();
    await page.waitForURL(`**/compare?ids=${whole.stable_id}`);
    await page.getByRole("combobox").fill(part.stable_id);
    await page.getByRole("option", { name: part.stable_id }).click();
    await page.waitForURL(`**/compare?ids=${whole.stable_id},${part.stable_id}`);
    const ids = [whole, part].map((row) => `ids=${row.stable_id}`).join("&");
    const { places, similarities } = await api(`/api/compare?${ids}`);
    await page.locator("[data-place]").first().waitFor();
    assert.equal(await page.locator("[data-place]").count(), places.length);
    await page.getByText(similarities[0].cosine.toFixed(3), { exact: true }).waitFor();

    const at = places.findIndex(({ values }) => values.every(({ state }) => state === "measured"));
    await page.locator(`[data-place="${at}"]`).hover();
    for (const { weight } of places[at].values) await page.locator("figure > p em").getByText(weight.toFixed(3)).first().waitFor();
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Save SVG" }).click()]);
    const drawing = readFileSync(await download.path(), "utf8");
    assert.ok(!/class=|var\(|style=/.test(drawing), "the drawing needs the page's styles");
    assert.ok(drawing.includes(places[0].label) && drawing.includes("stroke-dasharray"));

    await page.getByRole("button", { name: "Against A" }).click();
    await page.getByRole("button", { name: "Read as a table" }).click();
    await page.waitForURL("**&view=table");
    await page.reload();
    const cells = page.locator(`[data-place-row="${at}"] td`);
    await cells.first().waitFor();
    const [mine, theirs] = places[at].values.map(({ weight }) => weight);
    const apart = theirs - mine;
    const sign = apart < 0 ? "−" : "+";
    assert.deepEqual((await cells.allInnerTexts()).slice(1), [
      mine.toFixed(3),
      theirs.toFixed(3),
      apart === 0 ? "0" : sign + Math.abs(apart).toFixed(3),
    ]);

    await page.goto(`${BASE}/compare?ids=${whole.stable_id},${other.stable_id},${part.stable_id}`);
    await page.getByText("different parts of different models").waitFor();
    assert.equal(await page.locator("[data-place]").count(), places.length);
  },

  /** Every check with its result, copies side by side, and an unreadable file tried again after asking. */
  async health(page) {
    const answer = await api("/api/checks");
    await page.goto(`${BASE}/`);
    await page.getByRole("link", { name: "Health" }).click();
    await page.waitForURL("**/checks");
    await page.locator("[data-check]").first().waitFor();
    assert.equal(await page.locator("[data-check]").count(), answer.checks.length);
    assert.equal(await page.locator('[data-check="failed"]').count(), answer.checks.filter(({ passed }) => !passed).length);
    const { groups } = await api("/api/checks/duplicates");
    assert.ok(groups.length > 0, "no copies in the library");
    for (const { entries: same } of groups)
      for (const { stable_id: id } of same) await page.getByRole("article").getByRole("link", { name: id }).waitFor();

    const [torn] = await entries("&state=unreadable");
    await page.getByRole("button", { name: `Try again ${torn.stable_id}` }).click();
    await page.getByRole("button", { name: "Try again", exact: true }).click();
    await page.getByText(`${torn.stable_id} is as it was`).waitFor();
    await page.getByRole("link", { name: /in the library$/ }).first().click();
    await page.waitForURL("**/?state=unreadable");
  },

  /** axe on every page in both themes; a screenshot of each at every size, where nothing sticks out sideways. */
  async accessibility(page) {
    const rows = await entries();
    const measured = rows.find((row) => row.has_block_weights);
    const fallback = rows.find((row) => row.fallback);
    const alike = [...rows.filter((row) => row.architecture === measured.architecture && row.has_block_weights).slice(0, 5), ...(fallback ? [fallback] : [])];
    const pages = {
      library: "/",
      "library-empty": "/?q=nothing-has-this-name",
      lora: `/lora/${measured.stable_id}?at=${rows.indexOf(measured)}`,
      ...(fallback && { "lora-unmeasured": `/lora/${fallback.stable_id}` }),
      layouts: "/layouts",
      indexing: "/indexing",
      compare: `/compare?ids=${alike.map((row) => row.stable_id).join(",")}`,
      "compare-difference": `/compare?ids=${alike.map((row) => row.stable_id).join(",")}&against=${alike[0].stable_id}&measure=raw`,
      "compare-table": `/compare?ids=${alike.map((row) => row.stable_id).join(",")}&view=table`,
      "compare-empty": "/compare",
      health: "/checks",
      "no-such-entry": "/lora/NO-SUCH-000",
    };
    const found = [];
    for (const theme of ["light", "dark"]) {
      await page.goto(`${BASE}/indexing`);
      await page.evaluate((name) => localStorage.setItem("lwb.theme", name), theme);
      for (const [width, height] of SIZES) {
        await page.setViewportSize({ width, height });
        for (const [name, path] of Object.entries(pages)) {
          await page.goto(BASE + path);
          await page.locator("main").waitFor();
          await settled(page);
          await page.screenshot({ path: join(SHOTS, `${name}-${theme}-${width}.png`) });
          if (await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth))
            found.push(`${name} is wider than a window of ${width}`);
          if (width !== SIZES[0][0]) continue; // rules do not depend on the width, and axe takes its time
          for (const { id, nodes } of await axe(page))
            found.push(`${name} ${theme} ${width}: ${id}: ${nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`);
        }
      }
    }
    assert.deepEqual(found, []);
  },
};

async function expectStatus(page, total) {
  await until(async () => (await page.locator("main [role=status]").first().innerText()).includes(`${total.toLocaleString("en")} LoRA`));
}

async function until(check) {
  const end = Date.now() + 20_000;
  while (!(await check())) {
    assert.ok(Date.now() < end, `waited in vain for ${check}`);
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
}

/** No request under way and nothing busy. */
async function settled(page) {
  await until(() => page.evaluate(() => document.querySelector("[aria-busy=true]") === null));
  await page.evaluate(() => document.fonts.ready);
  await page.waitForTimeout(250);
}

/** axe runs in the page's world through the debugger, which the page's policy does not reach. */
async function axe(page) {
  await page.evaluate(AXE);
  return (await page.evaluate(() => axe.run(document))).violations;
}

async function main(name) {
  const scenario = scenarios[name];
  assert.ok(scenario, `no scenario ${name}`);
  const profile = mkdtempSync(join(tmpdir(), "lwb-e2e-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: CHROME,
    headless: true,
    viewport: { width: SIZES[0][0], height: SIZES[0][1] },
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  const faults = [];
  page.on("pageerror", (error) => faults.push(`script error: ${error.message}`));
  page.on("console", (message) => {
    // A refused request is also reported as an error of the console; only the expected 404s make any here.
    if (message.type() === "error" && !message.text().includes("404")) faults.push(`console: ${message.text()}`);
  });
  page.on("request", (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol.startsWith("http") && origin !== BASE) faults.push(`request to ${request.url()}`);
  });
  try {
    await scenario(page);
    assert.deepEqual(faults, []);
  } catch (error) {
    await page.screenshot({ path: join(SHOTS, `failed-${name}.png`) });
    throw error;
  } finally {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  }
}

main(process.argv[2]).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
