/*
 * server: a build's files over HTTP, where there is no nginx to do it.
 *
 *	node demo/server.mjs DIR PORT
 *
 * Assets are immutable and an unknown one is a 404; every other unknown path
 * is the page, as the page does its own routing. All files are read at start.
 */
import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join } from "node:path";

const [directory, port] = process.argv.slice(2);
const types = {
	".html": "text/html; charset=utf-8",
	".js": "text/javascript; charset=utf-8",
	".css": "text/css; charset=utf-8",
	".json": "application/json",
};

const files = new Map();
for (const name of ["index.html", "version.json",
	...readdirSync(join(directory, "assets")).map((n) => "assets/" + n)]) {
	files.set("/" + name, {
		body: readFileSync(join(directory, name)),
		type: types[extname(name)] ?? "application/octet-stream",
		cache: name.startsWith("assets/")
			? "public, max-age=31536000, immutable" : "no-cache",
	});
}
const page = files.get("/index.html");

const server = createServer((request, response) => {
	const path = request.url.split("?", 1)[0];
	const file = files.get(path) ??
		(path.startsWith("/assets/") ? undefined : page);
	request.resume();
	if (!["GET", "HEAD"].includes(request.method)) {
		response.writeHead(405, { Allow: "GET, HEAD" }).end();
		return;
	}
	if (file === undefined) {
		response.writeHead(404, { "Content-Type": "text/plain" })
			.end("no such asset\n");
		return;
	}
	response.writeHead(200, {
		"Content-Type": file.type,
		"Content-Length": file.body.length,
		"Cache-Control": file.cache,
	});
	response.end(request.method === "HEAD" ? undefined : file.body);
});
server.keepAliveTimeout = 300_000;
server.listen(Number(port), "127.0.0.1");
