import { headers } from "next/headers";

export default async function Page() {
	const asked = await headers();
	return (
		<main id="dynamic">
			for {asked.get("host")}, of {process.env.VERSION}
		</main>
	);
}
