/*
 * kinds: the kinds of clients, each a row of the table: shape (pages.mjs,
 * sessions.mjs) and what it is given. service: whose pages; stage.py has the
 * services' settings.
 */
const NEXT = { shape: "Routed", service: "next",
	steps: ["fetch", "action", "late"] };
const POLLING = ["polling"];
const UPGRADED = ["polling", "websocket"];

export const kinds = {
	"Vite on Express": { shape: "Page" },
	"Next.js, static pages": { ...NEXT, ways: ["other", "static"] },
	"Next.js, dynamic pages": { ...NEXT, path: "/dynamic",
		ways: ["static", "dynamic"] },
	"gunicorn": { shape: "Page", service: "gunicorn" },
	"uvicorn": { shape: "Page", service: "uvicorn" },
	"a page sent with 401": { shape: "Page", path: "/status/401" },
	"a page sent with 403": { shape: "Page", path: "/status/403" },
	"a page sent with 404": { shape: "Page", path: "/status/404" },
	"a page sent with 500": { shape: "Page", path: "/status/500" },
	"a service worker": { shape: "Worked", path: "/?worker" },
	"a form posted by another site": { shape: "Posted" },
	"two services, one Domain": { shape: "Neighbours", service: "www.shop",
		neighbour: "blog.shop" },
	"a cookie for 3 s, pages for 7 s": { shape: "Brief", service: "brief",
		lasts_ms: 7000 },
	"a frame in another site": { shape: "Embedded", path: "/frame" },
	"a frame in another site, same_site: none": { shape: "Embedded",
		service: "embed", path: "/frame" },
	"cookies blocked": { shape: "Page", isBlocked: true },
	"cookies blocked, Next.js": { ...NEXT, isBlocked: true,
		ways: ["other", "static"] },
	"cookies blocked, key: address": { shape: "Page", isBlocked: true,
		service: "keyed" },
	"two tabs, one of which goes on": { shape: "TwoTabs" },
	"two tabs, pin: session": { shape: "TwoTabs", service: "session" },
	"a page with socket.io": { shape: "Socketed", transports: UPGRADED },
	"a page with socket.io, polling": { shape: "Socketed",
		transports: POLLING },
	"socket.io from another site": { shape: "Foreign",
		transports: UPGRADED },
	"socket.io from another site, polling": { shape: "Foreign",
		transports: POLLING },
	"socket.io without a jar": { shape: "Short", transports: UPGRADED },
	"socket.io without a jar, polling": { shape: "Short",
		transports: POLLING },
	"socket.io without a jar, over changes": { shape: "Held",
		transports: UPGRADED },
	"socket.io without a jar, polling, over changes": { shape: "Held",
		transports: POLLING },
	"API client without a jar": { shape: "Caller" },
};
