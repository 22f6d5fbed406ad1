/*
 * sessions: of socket.io, in a page or in a client of node's, and runs of
 * calls. None of node's clients keeps cookies.
 */
import { Agent, get } from "node:http";
import { io } from "socket.io-client";
import { nextAddress } from "./network.mjs";

const CALLS = 5;
const ANSWER_MS = 10_000;

/* Runs in a page as well, so it sees nothing around it. Resolves when it is
 * connected, or when that has failed. */
function hold(io, url, options, answer_ms) {
	const session = { version: null, broken: null, failed: null };
	const socket = io(url, { ...options, reconnection: false });
	const { engine } = socket.io;
	const failed = (text) => session.broken ??= text;
	/* It goes on without, where its second transport is refused. */
	const probed = options.transports.length === 1 ? null :
		new Promise((resolve) => {
			engine.on("upgrade", resolve);
			engine.on("close", resolve);
			engine.on("upgradeError", (error) => resolve(
				session.failed = "upgrade: " + error.message));
		});
	const settled = new Promise((resolve) => {
		socket.on("version", (version) => {
			session.version = version;
			resolve();
		});
		socket.on("connect_error", (error) => resolve(failed(
			"connect: " + JSON.stringify(
				error.context?.responseText ?? error.message))));
		/* Also where that is before it was there at all. */
		socket.io.on("close", (why, details) => resolve(failed(
			`${why}: ` + JSON.stringify(
				details?.context?.responseText ??
				details?.description?.message ?? ""))));
	});
	session.say = async () => {
		if (session.broken)
			return;
		try {
			await socket.timeout(answer_ms)
				.emitWithAck("echo", "hello");
		} catch (error) {
			failed(String(error));
		}
	};
	session.end = () => {
		socket.io.off("close");
		socket.close();
	};
	return settled.then(() => probed).then(() => session);
}

/* A session as the crowd counts it. asks: say() and end(), which resolve to
 * why it is broken. */
class Session {
	constructor(kind, crowd, { version, broken, failed }, asks) {
		this.load = crowd.tally.begin(kind, version);
		this.asks = asks;
		if (failed)
			this.load.note("failed", failed);
		this.#look(broken);
	}

	#look(broken) {
		if (broken)
			this.load.note("broken", broken);
	}

	async say() {
		this.#look(await this.asks.say());
	}

	async end() {
		this.#look(await this.asks.end());
	}
}

export async function holdInPage(kind, crowd, page, url, { transports }) {
	const start = await page.evaluate(
		async ([source, url, options, answer_ms]) => {
			const hold = new Function("return " + source)();
			window.session = await hold(window.io, url, options,
				answer_ms);
			const { version, broken, failed } = window.session;
			return { version, broken, failed };
		}, [hold.toString(), url, { transports, withCredentials: true },
			ANSWER_MS])
		/* A white page has no socket. */
		.catch((error) => ({ version: null, broken: String(error) }));
	const ask = (what) => page.evaluate(async (what) => {
		const { session } = window;
		await session?.[what]();
		return session?.broken ?? null;
	}, what).catch((error) => String(error));
	return new Session(kind, crowd, start,
		{ say: () => ask("say"), end: () => ask("end") });
}

class Machine {
	constructor(kind, crowd, options) {
		this.kind = kind;
		this.crowd = crowd;
		this.options = options;
		this.url = crowd.url(options.service ?? "site", "");
		/* Names below localhost are for browsers to know. */
		this.agent = new Agent({
			keepAlive: true,
			localAddress: nextAddress(),
			lookup: (name, { all }, done) => all
				? done(null, [{ address: "127.0.0.1", family: 4 }])
				: done(null, "127.0.0.1", 4),
		});
	}

	async arrive() {}

	async again() {}

	async leave() {
		this.agent.destroy();
	}
}

/* A session from one again() to the next. */
class Held extends Machine {
	async arrive() {
		await this.again();
	}

	async again() {
		await this.session?.end();
		const { transports } = this.options;
		const held = await hold(io, this.url,
			{ transports, agent: this.agent, forceNew: true },
			ANSWER_MS);
		const look = async (what) => {
			await held[what]();
			return held.broken;
		};
		this.session = new Session(this.kind, this.crowd, held,
			{ say: () => look("say"), end: () => look("end") });
	}

	async act() {
		for (let i = 0; i < CALLS; i++)
			await this.session.say();
	}

	async leave() {
		await this.session?.end();
		await super.leave();
	}
}

/* A session that is over before the next change. */
class Short extends Held {
	async arrive() {}

	async act() {
		await this.again();
		await super.act();
	}
}

class Caller extends Machine {
	async act() {
		let load;
		for (let i = 0; i < CALLS; i++) {
			const { version, status } = await this.#call();
			load ??= this.crowd.tally.begin(this.kind, version);
			load.answered(version, "call");
			if (status !== 200)
				load.note("failed", `status ${status}`);
		}
	}

	#call() {
		return new Promise((resolve) => {
			get(this.url + "/api/version", {
				agent: this.agent,
				headers: { "User-Agent": "shop-app/2.1" },
			}, (response) => {
				response.resume();
				response.on("end", () => resolve({
					version: response.headers["x-version"],
					status: response.statusCode,
				}));
			}).on("error", (error) => resolve({ status: error }));
		});
	}
}

export const machines = { Held, Short, Caller };
