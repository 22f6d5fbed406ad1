import Link from "next/link";
import Tools from "../parts/tools";
import "./style.css";

export const metadata = { title: "Next, " + process.env.VERSION };

/* Links are prefetched as they come into view, as they are by default. */
export default function Layout({ children }) {
	return (
		<html lang="en">
			<body>
				<nav>
					<Link href="/">static</Link>
					<Link href="/other">other</Link>
					<Link href="/dynamic">dynamic</Link>
				</nav>
				{children}
				<Tools />
			</body>
		</html>
	);
}
