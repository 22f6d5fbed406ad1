"use client";

import { useEffect } from "react";
import { greet } from "../app/actions";

/* What the tests ask of an open page. */
export default function Tools() {
	useEffect(() => {
		window.page = {
			fetch: () => fetch("/api/version").then((r) => r.text()),
			late: () => import("./late").then((late) => late.version),
			action: () => greet("hello"),
		};
	}, []);
	return null;
}
