import { io } from "socket.io-client";
import "./style.css";

const late = Object.values(import.meta.glob("./late/*.js"));
let loaded = 0;

/* What the tests ask of an open page. */
window.page = {
	fetch: () => fetch("/api/version").then((r) => r.text()),
	post: () => fetch("/api/version", { method: "POST", body: "x" })
		.then((r) => r.text()),
	/* One more of the chunks, as long as there are any. */
	late: async () => loaded < late.length && late[loaded++](),
};
window.io = io;

if (new URLSearchParams(location.search).has("worker"))
	navigator.serviceWorker.register("/worker.js");
document.getElementById("app").textContent = `of ${VERSION}`;
