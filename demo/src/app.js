/* version @VERSION@ */
const version = "@VERSION@";
const page = document.querySelector('meta[name="version"]').content;
const app = document.getElementById("app");

function element(name, text, attributes = {}) {
	const made = Object.assign(document.createElement(name), attributes);
	made.textContent = text;
	return made;
}

/* The page, the script and the style must be of one version. */
function agrees() {
	return page === version;
}

function render() {
	const badge = element("span", agrees() ? version : "mixed!", {
		className: agrees() ? "badge" : "badge wrong",
	});
	const line = element("p", "You are on version ");
	line.append(badge);

	const button = element("button", "Show details");
	button.onclick = async () => {
		/* Loaded late: a release may have begun or ended meanwhile. */
		const { details } = await import("./@details.js@");
		const list = element("ul", "");
		list.append(...details().map((text) => element("li", text)));
		button.replaceWith(list);
	};
	app.replaceChildren(element("h1", "@TITLE@"), line,
		element("p", "@TEXT@"), button);
	app.dataset.ready = version;
}

render();
