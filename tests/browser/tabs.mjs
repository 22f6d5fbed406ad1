/*
 * tabs: Chromium, driven by lines of JSON on standard input.
 *
 *	node tabs.mjs CHROMIUM
 *
 * A client is a browser context: cookies and a cache of its own. Its tabs are
 * pages of that context. The browser ends with standard input.
 *
 * What a tab does is answered by a report of what it shows, and of all that
 * went wrong in it since the last one.
 */
import { answer, launch, PATIENCE_MS } from "./lines.mjs";

/* Clients live at a name too, and no name is asked of anybody. */
const browser = await launch(process.argv[2], ["--no-proxy-server",
	"--host-resolver-rules=MAP shop.test 127.0.0.1, MAP * ~NOTFOUND, " +
	"EXCLUDE 127.0.0.1"]);
const clients = new Map();

function watch(page) {
	const seen = { assets: [], problems: [] };
	page.on("response", (response) => {
		const { pathname } = new URL(response.url());
		if (pathname.startsWith("/assets/"))
			seen.assets.push([pathname, response.status()]);
		if (response.status() >= 400)
			seen.problems.push(`${response.status()} ${pathname}`);
	});
	page.on("requestfailed", (request) => {
		seen.problems.push(`${request.failure()?.errorText} ` +
			new URL(request.url()).pathname);
	});
	page.on("console", (message) => {
		if (message.type() === "error")
			seen.problems.push("console: " + message.text());
	});
	page.on("pageerror", (error) => {
		seen.problems.push("script: " + error.message);
	});
	page.on("crash", () => seen.problems.push("the tab crashed"));
	return seen;
}

/* What the page, its script, its style and its late script say they are of. */
async function shown(page) {
	return await page.evaluate(() => ({
		page: document.querySelector('meta[name="version"]')?.content,
		script: document.getElementById("app")?.dataset.ready ?? null,
		colour: getComputedStyle(document.documentElement)
			.getPropertyValue("--brand").trim(),
		badge: document.querySelector(".badge")?.textContent ?? null,
		details: document.querySelector("#app ul")
			?.textContent.match(/belongs to (\w+)/)?.[1] ?? null,
		protocol: performance.getEntriesByType("navigation")[0]
			?.nextHopProtocol,
	}));
}

async function report(tab) {
	const { assets, problems } = tab.seen;
	tab.seen.assets = [];
	tab.seen.problems = [];
	return { ...await shown(tab.page), assets, problems };
}

/* The late part comes, or its import fails; a white page has no button. */
async function showDetails(page) {
	await page.evaluate(() => new Promise((resolve) => {
		const button = document.querySelector("#app button");
		if (!button)
			return resolve();
		addEventListener("unhandledrejection", () => resolve());
		new MutationObserver(() => {
			if (document.querySelector("#app ul"))
				resolve();
		}).observe(document.body, { childList: true, subtree: true });
		button.click();
	}));
}

const steps = {
	/* An address typed in. Scripts have run at the load event. */
	visit: (page, url) => page.goto(url, { waitUntil: "load" }),
	/* The reload button, where there is a page. */
	reload: (page, url) => page.url() === url
		? page.reload({ waitUntil: "load" })
		: page.goto(url, { waitUntil: "load" }),
	details: (page) => showDetails(page),
	look: async () => {},
};

async function step(client, name, action, url) {
	const { context, tabs, isCaching } = clients.get(client);
	if (!tabs.has(name)) {
		const page = await context.newPage();
		page.setDefaultTimeout(PATIENCE_MS);
		const seen = watch(page);
		if (!isCaching) {
			const session = await context.newCDPSession(page);
			await session.send("Network.enable");
			await session.send("Network.setCacheDisabled",
				{ cacheDisabled: true });
		}
		tabs.set(name, { page, seen });
	}
	const tab = tabs.get(name);
	await steps[action](tab.page, url);
	return await report(tab);
}

const commands = {
	async client({ client, isCaching, cookies }) {
		const context = await browser.newContext({
			viewport: { width: 640, height: 480 },
		});
		await context.addCookies(cookies);
		clients.set(client, { context, isCaching, tabs: new Map() });
	},
	/* One step in many tabs at once. */
	async each({ tabs, action, url }) {
		return await Promise.all(tabs.map(
			([client, name]) => step(client, name, action, url)));
	},
	async cookies({ client }) {
		return await clients.get(client).context.cookies();
	},
	async screenshot({ client, tab, file }) {
		await clients.get(client).tabs.get(tab).page
			.screenshot({ path: file });
	},
	/* All clients go, with their tabs. */
	async forget() {
		for (const { context } of clients.values())
			await context.close();
		clients.clear();
	},
	async version() {
		return browser.version();
	},
};

await answer(commands);
await browser.close();
