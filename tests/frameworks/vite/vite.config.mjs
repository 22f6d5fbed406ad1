/* One source, two builds: VERSION is in every chunk, so that its name is of
 * that version alone. */
export default {
	define: { VERSION: JSON.stringify(process.env.VERSION) },
	build: { outDir: process.env.OUT, emptyOutDir: true },
	logLevel: "warn",
};
