/*
 * pages: clients that are browsers. Each has a context and an address of its
 * own.
 *
 *	arrive()	it opens its first page
 *	act()		its open page does what it does late
 *	again()		it opens the page anew
 *	leave()
 */
import { nextAddress, openProxy } from "./network.mjs";
import { holdInPage } from "./sessions.mjs";
import { Tab } from "./tab.mjs";

const VISIT_MS = 400;

class Page {
	constructor(kind, crowd, options) {
		this.kind = kind;
		this.crowd = crowd;
		this.options = options;
		this.url = crowd.url(options.service ?? "site",
			options.path ?? "/");
	}

	async arrive() {
		this.proxy = await openProxy(nextAddress());
		const browser = this.options.isBlocked
			? this.crowd.blocking : this.crowd.browser;
		this.context = await browser.newContext({
			proxy: { server: this.proxy.server },
		});
		this.tab = await this.open();
		await this.again();
	}

	open() {
		return Tab.open(this.kind, this.crowd, this.context);
	}

	again() {
		return this.tab.visit(this.url);
	}

	async act() {
		for (const step of this.options.steps ??
			["fetch", "post", "late"])
			await this.tab.ask(step, [], this.frame?.());
	}

	async leave() {
		await this.context?.close();
		this.proxy?.close();
	}
}

/* From page to page by the framework's own router. */
class Routed extends Page {
	async act() {
		await super.act();
		for (const name of this.options.ways)
			await this.#go(name);
	}

	async #go(name) {
		const { page } = this.tab;
		const path = name === "static" ? "/" : "/" + name;
		await page.click(`nav a[href="${path}"]`);
		await page.waitForSelector("main#" + name)
			.catch((error) => this.tab.load()?.note("failed",
				`no way to ${path}: ${error.message}`));
		await this.tab.calm();
	}
}

/* Its second tab goes on while the first one rests. */
class TwoTabs extends Page {
	async arrive() {
		await super.arrive();
		this.other = await this.open();
		await this.other.visit(this.url);
	}

	again() {
		return (this.other ?? this.tab).visit(this.url);
	}
}

/* Pages of two services; the second one's comes between the first one's page
 * and what that asks for. */
class Neighbours extends TwoTabs {
	async arrive() {
		await super.arrive();
		this.url = this.crowd.url(this.options.neighbour, "/");
	}

	async act() {
		await super.act();
		await this.again();
		await super.act();
	}
}

class Embedded extends Page {
	again() {
		return this.tab.visit(
			this.crowd.elsewhere.url("/frame", this.url));
	}

	frame() {
		return this.tab.page.frames()[1];
	}
}

/* It was here before, so that it has a cookie, which isn't sent along. */
class Posted extends Page {
	async arrive() {
		await super.arrive();
		this.form = this.crowd.elsewhere.url("/form",
			this.crowd.url("site", "/form"));
		await this.again();
	}

	async again() {
		if (!this.form)
			return await super.again();
		await this.tab.visit(this.form);
		await Promise.all([
			this.tab.page.waitForURL("**/form"),
			this.tab.page.evaluate(
				() => document.forms[0].submit()),
		]);
		await this.tab.calm();
	}
}

class Worked extends Page {
	async arrive() {
		await super.arrive();
		await this.tab.page.evaluate(
			() => navigator.serviceWorker.ready);
		await this.again();
	}
}

/* Page after page, for longer than its cookie would last. */
class Brief extends Page {
	async act() {
		const end = Date.now() + this.options.lasts_ms;
		await this.tab.renew();
		await this.context.clearCookies();
		while (Date.now() < end) {
			await this.again();
			await this.tab.ask("fetch");
			await new Promise((resolve) =>
				setTimeout(resolve, VISIT_MS));
		}
	}
}

/* A page with a socket, which counts by itself. */
class Socketed extends Page {
	async again() {
		await this.session?.end();
		await super.again();
		this.session = await holdInPage(this.kind + ", its socket",
			this.crowd, this.tab.page, undefined, this.options);
	}

	async act() {
		await super.act();
		await this.session.say();
	}
}

/* The page is another site's, and only the socket is of this one. */
class Foreign extends Socketed {
	async arrive() {
		this.target = this.url;
		this.url = this.crowd.elsewhere.url("/socket");
		await super.arrive();
	}

	async again() {
		await this.session?.end();
		await this.tab.visit(this.url);
		this.session = await holdInPage(this.kind, this.crowd,
			this.tab.page, this.target, this.options);
	}

	act() {
		return this.session.say();
	}
}

export const shapes = { Page, Routed, TwoTabs, Neighbours, Embedded, Posted,
	Worked, Brief, Socketed, Foreign };
