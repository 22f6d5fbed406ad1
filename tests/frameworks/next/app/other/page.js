export default function Page() {
	return <main id="other">another, of {process.env.VERSION}</main>;
}
