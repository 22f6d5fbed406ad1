/*
 * lines: Debian's Chromium, and a program that is driven by lines of JSON on
 * standard input. Each is a command, {"do": NAME, ...}; each gets one line
 * back, {"ok": RESULT} or {"error": TEXT}.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

export const PATIENCE_MS = 20_000;
const ARGUMENTS = ["--disable-gpu", "--disable-quic", "--no-first-run",
	"--disable-background-networking", "--disable-component-update",
	"--disable-sync"];

/* Without a profile of one's own, Playwright makes an empty one and removes
 * it in the end. The sandbox won't run for root. */
export const launch = (program, args) => chromium.launch({
	executablePath: program,
	args: [...ARGUMENTS, ...args],
	chromiumSandbox: false,
	timeout: PATIENCE_MS,
});

/* With preferences, which Playwright has no way to give. */
export async function launchWith(program, folder, preferences) {
	mkdirSync(join(folder, "Default"), { recursive: true });
	writeFileSync(join(folder, "Default", "Preferences"),
		JSON.stringify(preferences));
	const child = spawn(program, ["--headless", "--no-sandbox",
		"--remote-debugging-port=0", "--user-data-dir=" + folder,
		...ARGUMENTS, "about:blank"],
	{ stdio: ["ignore", "ignore", "pipe"] });
	for await (const line of createInterface({ input: child.stderr })) {
		const address = line.match(/listening on (ws:\S+)/)?.[1];
		if (!address)
			continue;
		child.stderr.resume();
		const browser = await chromium.connectOverCDP(address,
			{ timeout: PATIENCE_MS });
		return {
			newContext: (options) => browser.newContext(options),
			async close() {
				const ended = once(child, "exit");
				await browser.close();
				child.kill();
				await ended;
			},
		};
	}
	throw new Error("no browser with preferences");
}

/* Until the end of standard input. */
export async function answer(commands) {
	/* Whoever asked has gone; so will standard input. */
	process.stdout.on("error", () => {});
	for await (const line of createInterface({ input: process.stdin })) {
		const command = JSON.parse(line);
		let answer;
		try {
			answer = { ok: await commands[command.do](command) ??
				null };
		} catch (error) {
			answer = { error: String(error.stack ?? error) };
		}
		process.stdout.write(JSON.stringify(answer) + "\n");
	}
}
