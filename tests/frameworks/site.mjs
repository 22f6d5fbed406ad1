/*
 * site: a version of a site as Express and socket.io make it by default.
 *
 *	node site.mjs VERSION FOLDER PORT
 *
 * FOLDER is a build of vite/. Its page is also at /status/CODE, sent with that
 * status, and it is what a form is answered with. Every answer says of which
 * version it is, and so does the greeting on a socket.
 */
import { join } from "node:path";
import express from "express";
import session from "express-session";
import { Server } from "socket.io";

const [version, folder, port] = process.argv.slice(2);
const page = join(folder, "index.html");
const app = express();

app.use((request, response, next) => {
	response.set("X-Version", version);
	next();
});
/* As its introduction has it: everybody gets a session, and its cookie. */
app.use(session({ secret: "fixed", resave: false, saveUninitialized: true }));
app.use(express.static(folder));
app.get("/frame", (request, response) => response.sendFile(page));
app.get("/status/:code", (request, response) =>
	response.status(Number(request.params.code)).sendFile(page));
app.post("/form", express.urlencoded(), (request, response) =>
	response.sendFile(page));
app.all("/api/version", (request, response) => response.json({ version }));

const server = app.listen(Number(port), "127.0.0.1");
const sockets = new Server(server, {
	cors: { origin: true, credentials: true },
});
sockets.engine.on("headers", (headers) => {
	headers["X-Version"] = version;
});
sockets.on("connection", (socket) => {
	socket.emit("version", version);
	socket.on("echo", (text, answer) => answer(version));
});
