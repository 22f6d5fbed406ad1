/*
 * tab: a tab of a browser whose every answer is weighed: is it of the version
 * that the page around it came from? A frame is a page of its own.
 *
 * What isn't of a site under test (site.isTested) is nobody's load.
 */
/* A machine that has other things to do is no failure. */
const PATIENCE_MS = 60_000;
const CALM_MS = 50;
const UNREAD_MS = 3000;

export class Tab {
	#pending = new Set();
	#calm = [];
	#loads = new Map();	/* frame -> its load */
	#askedBy = new WeakMap();	/* request -> the load that it is of */
	#last = null;		/* the version of the last page */

	static async open(kind, crowd, context) {
		const page = await context.newPage();
		page.setDefaultTimeout(PATIENCE_MS);
		return new Tab(kind, crowd, page);
	}

	constructor(kind, crowd, page) {
		this.kind = kind;
		this.crowd = crowd;
		this.page = page;
		page.on("request", (request) => {
			this.#askedBy.set(request,
				this.#loads.get(frameOf(request)));
			if (!isLong(request))
				this.#pending.add(request);
		});
		page.on("requestfinished", (request) => this.#end(request));
		page.on("requestfailed", (request) => {
			this.#failed(request);
			this.#end(request);
		});
		page.on("response", (response) => this.#answered(response));
		page.on("pageerror", (error) => this.#note(page.mainFrame(),
			"failed", "script: " + error.message));
	}

	#end(request) {
		if (this.#pending.delete(request) && this.#pending.size === 0)
			setTimeout(() => this.#settle(), CALM_MS);
	}

	#settle() {
		if (this.#pending.size > 0)
			return;
		for (const resolve of this.#calm.splice(0))
			resolve();
	}

	/* Nothing is under way any more. What has its answer, and a page that
	 * doesn't read it (it may have left for another), is not waited for. */
	async calm() {
		let patience;
		await new Promise((resolve) => {
			patience = setTimeout(() => {
				this.#giveUp();
				resolve();
			}, PATIENCE_MS);
			this.#calm.push(resolve);
			setTimeout(() => this.#settle(), CALM_MS);
		});
		clearTimeout(patience);
	}

	#giveUp() {
		for (const request of this.#pending)
			this.#askedBy.get(request)?.note("failed",
				"no answer to " + request.url());
		this.#pending.clear();
	}

	/* Its body is still to come, or nobody reads it. */
	#mayEnd(request) {
		setTimeout(() => this.#end(request), UNREAD_MS);
	}

	#note(frame, fault, text) {
		this.#loads.get(frame)?.note(fault, text);
	}

	#answered(response) {
		const request = response.request();
		this.#mayEnd(request);
		const url = new URL(response.url());
		const frame = frameOf(request);
		if (!frame || !this.crowd.isTested(url.host))
			return;
		const version = response.headers()["x-version"];
		if (request.isNavigationRequest())
			return this.#begin(frame, version, url);
		const load = this.#askedBy.get(request);
		const text = `${request.resourceType()} ${url.pathname}`;
		if (response.status() >= 400)
			load?.note("failed", `${response.status()} ${text}`);
		/* A name that says what is in it is the same of any version, and
		 * may be in the browser's cache since the last one. */
		if (!response.headers()["cache-control"]?.includes("immutable"))
			load?.answered(version, text);
	}

	#begin(frame, version, url) {
		const load = this.crowd.tally.begin(this.kind, version);
		if (version === undefined)
			load.note("failed", `no page of ${url}`);
		if (this.#last === "v2" && version === "v1" &&
			!this.crowd.isRolledBack)
			load.note("back", `v2, and now v1 of ${url.pathname}`);
		this.#last = version;
		this.#loads.set(frame, load);
	}

	/* What a page has given up is no failure. */
	#failed(request) {
		const why = request.failure()?.errorText;
		if (why !== "net::ERR_ABORTED")
			this.#askedBy.get(request)?.note("failed", `${why} ` +
				new URL(request.url()).pathname);
	}

	/* From here on it is somebody else's. */
	async renew() {
		await this.calm();
		this.#last = null;
	}

	load(frame = this.page.mainFrame()) {
		return this.#loads.get(frame);
	}

	async visit(url) {
		await this.page.goto(url, { waitUntil: "load" });
		await this.calm();
	}

	/* In the page, or a frame of it: window.page[what](...args). A white
	 * page has none. */
	async ask(what, args = [], frame = this.page.mainFrame()) {
		const problem = await frame.evaluate(async ([what, args]) => {
			try {
				await window.page[what](...args);
				return null;
			} catch (error) {
				return String(error);
			}
		}, [what, args]).catch((error) => String(error));
		if (problem)
			this.#note(frame, "failed", `${what}: ${problem}`);
		await this.calm();
	}
}

/* A socket's polls: there is always one under way. */
const isLong = (request) =>
	new URL(request.url()).pathname.startsWith("/socket.io/");

/* What a service worker asks for by itself has no frame. */
function frameOf(request) {
	try {
		return request.frame();
	} catch {
		return null;
	}
}
