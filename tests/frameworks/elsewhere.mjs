/*
 * elsewhere: another site, which embeds the one under test, posts forms to it
 * and connects to its sockets. It is no part of a release.
 */
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const CLIENT = readFileSync(new URL(
	"./node_modules/socket.io-client/dist/socket.io.js", import.meta.url));
const PAGES = {
	"/frame": (target) => `<iframe src="${target}"></iframe>`,
	"/form": (target) => `<form method="post" action="${target}">
		<input name="a" value="b"></form>`,
	"/socket": () => `<script src="/socket.io.js"></script>`,
};

export function openElsewhere() {
	const server = createServer((request, response) => {
		const url = new URL(request.url, "http://elsewhere");
		if (url.pathname === "/socket.io.js") {
			response.setHeader("Content-Type", "text/javascript");
			response.end(CLIENT);
			return;
		}
		response.setHeader("Content-Type", "text/html");
		response.end("<!doctype html>" + (PAGES[url.pathname]?.(
			url.searchParams.get("target")) ?? ""));
	});
	return new Promise((resolve) => {
		server.listen(0, "127.0.0.1", () => resolve({
			url: (path, target = "") =>
				`http://elsewhere.localhost:` +
				`${server.address().port}${path}?target=` +
				encodeURIComponent(target),
			close: () => server.close(),
		}));
	});
}
