/*
 * crowd: clients of many kinds of the services of a balancer; crowd.py drives
 * it.
 *
 *	node crowd.mjs CHROMIUM
 */
import { join } from "node:path";
import { answer, launch, launchWith } from "../browser/lines.mjs";
import { openElsewhere } from "./elsewhere.mjs";
import { kinds } from "./kinds.mjs";
import { shapes } from "./pages.mjs";
import { machines } from "./sessions.mjs";
import { Tally } from "./tally.mjs";

const AT_ONCE = 6;
const STAYS = 2;	/* turns */
const NO_COOKIES = { profile: {
	default_content_setting_values: { cookies: 2 },
} };

const crowd = {
	tally: new Tally(),
	clients: [],
	port: 0,
	isRolledBack: false,
	elsewhere: await openElsewhere(),
	browser: await launch(process.argv[2], []),
	blocking: await launchWith(process.argv[2],
		join(process.env.TMPDIR, "without-cookies"), NO_COOKIES),
	url(service, path) {
		return `http://${service}.localhost:${this.port}${path}`;
	},
	isTested(host) {
		return host.endsWith(":" + this.port);
	},
};

/* Some at a time: nobody waits for the slowest. */
async function each(clients, what) {
	const waiting = [...clients];
	await Promise.all(Array.from({ length: AT_ONCE }, async () => {
		for (let next; (next = waiting.shift());)
			await what(next).catch((error) => {
				error.message = `${next.kind}: ` + error.message;
				throw error;
			});
	}));
}

function come(kind) {
	const options = kinds[kind];
	const Client = shapes[options.shape] ?? machines[options.shape];
	return new Client(kind, crowd, options);
}

const commands = {
	async kinds() {
		return Object.keys(kinds);
	},
	/* The balancer that is looked at from now on. */
	async meet({ port }) {
		crowd.port = port;
		crowd.isRolledBack = false;
		crowd.tally.clear();
	},
	/* So many more of each kind; who doesn't stay leaves in time. */
	async arrive({ count, names, isStaying }) {
		const fresh = names.flatMap((kind) => Array.from(
			{ length: count }, () => come(kind)));
		for (const client of fresh)
			client.stays = isStaying ? Infinity : STAYS;
		crowd.clients.push(...fresh);
		await each(fresh, (client) => client.arrive());
	},
	async act() {
		await each(crowd.clients, (client) => client.act());
	},
	/* Every second one opens a page anew, and the others the next time;
	 * the first ones' stays open. */
	async again({ turn }) {
		const leaving = crowd.clients.filter((c) => --c.stays < 0);
		crowd.clients = crowd.clients.filter((c) => c.stays >= 0);
		await each(leaving, (client) => client.leave());
		await each(crowd.clients.filter((client, i) =>
			client.stays < Infinity && i % 2 === turn % 2),
		(client) => client.again());
	},
	async rollBack() {
		crowd.isRolledBack = true;
		crowd.tally.voidVersion("v2");
	},
	/* By kind. */
	async sum() {
		return crowd.tally.sum();
	},
	async leave() {
		await each(crowd.clients.splice(0), (client) => client.leave());
	},
	async version() {
		return crowd.browser.version();
	},
};

await answer(commands);
await crowd.browser.close();
await crowd.blocking.close();
crowd.elsewhere.close();
