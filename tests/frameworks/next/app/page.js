export default function Page() {
	return <main id="static">static, of {process.env.VERSION}</main>;
}
