/* One source, two builds: VERSION is in every page, chunk and answer. */
const version = process.env.VERSION;

export default {
	distDir: `.next-${version}`,
	generateBuildId: () => version,
	env: { VERSION: version },
	poweredByHeader: false,
	headers: async () => [{
		source: "/:path*",
		headers: [{ key: "X-Version", value: version }],
	}],
};
